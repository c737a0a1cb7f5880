"""Data files: tables of strings that templates draw from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plg.dataclass import dataclass
from plg.delimited import DelimitedError, read_rows, shown

MAX_ROWS = 1_000_000
"""The most rows of a table."""
_JSON = ('{"', "[{", '["', "{ ", "[ ")
"""How a JSON file begins, and no header does."""


class DataError(ValueError):
    """A data file that cannot be used as a table."""


@dataclass(frozen=True, slots=True)
class Table:
    """A data file: rows of strings under named columns. Job ``seq`` takes row ``seq`` modulo their number."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]

    def column(self, name: str) -> list[str]:
        """All values of one column."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]


def read_table(path: Path) -> Table:
    """The table in a CSV file with a header. Raises `DataError`."""
    try:
        return _table(path)
    except DelimitedError as error:
        raise DataError(f"{path.name}: {error}") from None


def _table(path: Path) -> Table:
    source = read_rows(path)
    first = next(source, None)
    if first is None:
        raise DelimitedError("a table needs a header and at least one row, and this file is empty")
    header = tuple(cell.strip() for cell in first.cells)
    if first.cells[0].lstrip().startswith(_JSON) or header[0] in ("{", "["):
        raise DelimitedError("this is JSON; a table is CSV with a header", first.line)
    for index, name in enumerate(header):
        if not name:
            raise DelimitedError(f"column {index + 1} has no name", first.line)
        if name in header[:index]:
            raise DelimitedError(f"the header has the column {shown(name)} twice", first.line)
    body: list[list[str]] = []
    for row in source:
        if len(row.cells) != len(header):
            what = f"{len(row.cells)} value{'s' if len(row.cells) != 1 else ''}"
            raise DelimitedError(f"{what} in this row, and {len(header)} in the header", row.line)
        if len(body) == MAX_ROWS:
            raise DelimitedError(f"there are more than {MAX_ROWS:,} rows", row.line)
        body.append(row.cells)
    if not body:
        raise DelimitedError("a table needs at least one row below its header")
    return Table(header, body)
