"""Data files: tables of strings that templates draw from."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_ROWS = 1_000_000
"""The most rows of a table."""


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
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            header = tuple(cell.strip() for cell in next(rows, ()))
            body = [row for row in rows if row]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    except csv.Error:
        raise DataError(f"{path.name} is not CSV: a quotation mark is not closed, or stands inside a value") from None
    if not header or not body:
        raise DataError(f"{path.name} needs a header and at least one row")
    if len(set(header)) != len(header) or "" in header:
        raise DataError(f"the header of {path.name} has a column twice, or one without a name")
    if len(body) > MAX_ROWS:
        raise DataError(f"{path.name} has more than {MAX_ROWS:,} rows")
    for line, row in enumerate(body, 2):
        if len(row) != len(header):
            raise DataError(f"row {line} of {path.name} has {len(row)} values, and the header {len(header)}")
    return Table(header, body)
