"""A recorded curve, played again."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from plg.patterns.base import MOST_PIECES, PatternError
from plg.patterns.points import Points


class RecordingError(PatternError):
    """A recorded curve that cannot be read. ``line`` counts from 1; 0 speaks of the whole file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


def load(file: Path) -> tuple[tuple[float, float], ...]:
    """Rows of ``seconds,rate`` from a CSV file, with the first row moved to second 0.

    A first row of words is a header; empty lines and lines that start with ``#`` are passed over. Seconds rise
    strictly, rates are jobs per second, finite and not negative; two rows at least.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RecordingError(f"there is no file {file.name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{file.name} cannot be read as text ({type(error).__name__})") from None
    rows: list[tuple[float, float]] = []
    fresh = True
    for line, cells in enumerate(csv.reader(text.splitlines()), start=1):
        if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
            continue
        if fresh and _is_header(cells):
            fresh = False
            continue
        fresh = False
        rows.append(_row(cells, line, rows[-1][0] if rows else -math.inf))
    if len(rows) < 2:
        raise RecordingError(f"{file.name} has {len(rows)} rows; a curve needs two at least")
    if len(rows) > MOST_PIECES:
        raise RecordingError(f"{file.name} has {len(rows):,} rows; at most {MOST_PIECES:,} are played")
    origin = rows[0][0]
    return tuple((second - origin, rate) for second, rate in rows)


def _is_header(cells: list[str]) -> bool:
    return all(_number(cell) is None for cell in cells)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _row(cells: list[str], line: int, after: float) -> tuple[float, float]:
    if len(cells) != 2:
        raise RecordingError(f"two columns are wanted, seconds and rate, not {len(cells)}", line)
    values = []
    for column, cell in zip(("seconds", "rate"), cells, strict=True):
        value = _number(cell)
        if value is None or not math.isfinite(value):
            raise RecordingError(f"{column} is {cell.strip()!r}, not a finite number", line)
        values.append(value)
    second, rate = values
    if rate < 0:
        raise RecordingError(f"rate is {cells[1].strip()}, below zero", line)
    if second <= after:
        raise RecordingError(f"seconds do not rise: {second:g} follows {after:g}", line)
    return second, rate


def replay(rows: tuple[tuple[float, float], ...], scale: float = 1.0, speed: float = 1.0) -> Points:
    """The recorded curve with straight lines between its rows, rates times ``scale``, time over ``speed``::

    rate(t) = scale · recorded(t · speed),  duration = recorded duration / speed
    """
    return Points(tuple((second / speed, rate * scale) for second, rate in rows), "linear")
