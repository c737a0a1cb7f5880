"""Recorded curves: which column is which, what its times mean, and what is wrong with a row.

Nothing is guessed. A column is known by its header, a moment since 1970 by its size, and what could mean two things is
refused in one sentence that names the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from plg.dataclass import dataclass
from plg.delimited import DelimitedError, Row, read_rows, shown
from plg.units import counted

MAX_ROWS = 1_000_000
"""The most rows of a recording."""
MAX_SECONDS = 366 * 86400
"""The longest recording."""
MAX_RATE = 1e9
"""The highest rate of a recording, in jobs per second."""

_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NO_NUMBER = {"nan", "inf", "infinity"}
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.I
)
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Units of a column of times, in parts of a second."""
_SPELLED = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "millis", "millisecond", "milliseconds"),
    "us": ("us", "µs", "usec", "micros", "microsecond", "microseconds"),
    "ns": ("ns", "nsec", "nanos", "nanosecond", "nanoseconds"),
}
_TIMES = ("time", "t", "timestamp", "ts", "epoch", "unix", "unix_time", "elapsed", "offset", "at", "date", "datetime")
"""Names of a column of times that say nothing of its unit."""
_RATES = ("rate", "rps", "qps", "tps", "per_second", "rate_per_second", "rate_per_s")
_COUNTED = ("job", "request", "req", "message", "msg", "event", "call", "arrival", "transaction")
_KNOWN = "a recording has a column of times (seconds, time, time_ms, …) and one of rates (rate, rps, jobs/s)"
_EXAMPLE = "such as 2026-11-28T09:30:00Z"


class RecordingError(ValueError):
    """A recorded curve that cannot be read. ``line`` counts from 1; 0 speaks of the whole file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class Recordings:
    """The recordings in a folder, each file read once: what was checked is what is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, tuple[tuple[float, float], ...]] = {}

    def rows(self, name: str) -> tuple[tuple[float, float], ...]:
        """See `read_recording`."""
        if name not in self._read:
            self._read[name] = read_recording(self.folder / name)
        return self._read[name]


def read_recording(path: Path) -> tuple[tuple[float, float], ...]:
    """Rows of ``(seconds, jobs per second)`` of a recorded curve, the first row moved to second 0.

    Seconds rise strictly, rates are finite and not negative; there are two rows at least. Raises `RecordingError`.
    """
    try:
        return _rows(path)
    except DelimitedError as error:
        raise RecordingError(str(error).removeprefix(f"line {error.line}: "), error.line) from None


def _rows(path: Path) -> tuple[tuple[float, float], ...]:
    source = read_rows(path, comments=True, multiline=False)
    first = next(source, None)
    if first is None:
        raise RecordingError("the file has 0 rows; a curve needs two at least")
    headed = not any(_is_datum(cell) for cell in first.cells)
    columns = _columns(first) if headed else _unnamed(first)
    rows: list[tuple[float, float]] = []
    times: _Times | None = None
    before = ""
    for row in source if headed else chain([first], source):
        _check_width(row, first, headed)
        time, rate = row.cells[columns.time], _rate(row, columns)
        times = times or _times(time, columns, row.line)
        second = times.since_first(time, row.line)
        if rows and second <= rows[-1][0]:
            _refuse_order(columns.time_name, before, time, row.line)
        if second > MAX_SECONDS:
            raise RecordingError(f"{columns.time_name} lies more than 366 days after the first row", row.line)
        if len(rows) == MAX_ROWS:
            raise RecordingError(f"there are more than {MAX_ROWS:,} rows", row.line)
        rows.append((second, rate))
        before = time
    if len(rows) < 2:
        raise RecordingError(f"the file has {counted(len(rows), 'row')}; a curve needs two at least")
    return tuple(rows)


def _refuse_order(name: str, before: str, time: str, line: int) -> None:
    if before.strip() == time.strip():
        raise RecordingError(f"{name} must rise from row to row, and {shown(time)} is there twice", line)
    raise RecordingError(f"{name} must rise from row to row, and {shown(time)} follows {shown(before)}", line)


# Columns --------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where times and rates stand, what they are called, and the unit that the name of the times says, if any."""

    time: int
    rate: int
    time_name: str
    rate_name: str
    unit: str | None


def _is_datum(cell: str) -> bool:
    """Whether a value is no name: it begins as a number does, or is one of the words for none."""
    cell = cell.strip().lower()
    return (cell[:1] in tuple("0123456789+-.") and cell != "") or cell in _NO_NUMBER


def _unnamed(row: Row) -> _Columns:
    """Without a header, the first column has seconds and the second has rates."""
    if len(row.cells) != 2:
        found = counted(len(row.cells), "column")
        raise RecordingError(f"two columns are wanted without a header, seconds and rate, not {found}", row.line)
    word = next((cell for cell in row.cells if not _is_datum(cell)), None)
    if word is not None:
        raise RecordingError(f"{shown(word)} is neither in a header nor a number", row.line)
    return _Columns(0, 1, "seconds", "rate", None)


def _columns(header: Row) -> _Columns:
    times: list[tuple[int, str | None]] = []
    rates: list[int] = []
    for index, cell in enumerate(header.cells):
        name = _plain(cell)
        if not name:
            raise RecordingError(f"column {index + 1} has no name", header.line)
        unit = _time_unit(name)
        if unit is not None:
            times.append((index, unit or None))
        elif _is_rate(name):
            rates.append(index)
        else:
            raise RecordingError(f"the column {shown(cell)} is not known; {_KNOWN}", header.line)
    for found, what in (([index for index, _ in times], "times"), (rates, "rates")):
        if len(found) > 1:
            names = " and ".join(shown(header.cells[index]) for index in found[:2])
            raise RecordingError(f"two columns hold {what}: {names}", header.line)
        if not found:
            raise RecordingError(f"there is no column of {what}; {_KNOWN}", header.line)
    (time, unit), rate = times[0], rates[0]
    return _Columns(time, rate, header.cells[time].strip(), header.cells[rate].strip(), unit)


def _plain(name: str) -> str:
    """A name with its signs as ``_``: ``Time (ms)`` is ``time_ms``, ``jobs/s`` is ``jobs_per_s``."""
    name = name.strip().lower().replace("/", "_per_")
    return re.sub(r"[\s\-.()\[\]_]+", "_", name).strip("_")


def _time_unit(name: str) -> str | None:
    """The unit that the name of a column of times says, empty where it says none; None for any other column."""
    if name in _TIMES:
        return ""
    for unit, words in _SPELLED.items():
        for word in words:
            if name == word or (name.endswith("_" + word) and name.removesuffix("_" + word) in _TIMES):
                return unit
    return None


def _is_rate(name: str) -> bool:
    if name in _RATES:
        return True
    counted, per, unit = name.partition("_per_")
    return per != "" and unit in _SPELLED["s"] and counted.removesuffix("s") in _COUNTED


def _check_width(row: Row, first: Row, headed: bool) -> None:
    if len(row.cells) == len(first.cells):
        if headed and row.cells[0].strip() == first.cells[0].strip():
            raise RecordingError(f"the header of line {first.line} stands here again", row.line)
    else:
        what = f"{len(row.cells)} value{'s' if len(row.cells) != 1 else ''}"
        raise RecordingError(f"{what} in this row, and {len(first.cells)} in line {first.line}", row.line)


# Values --------------------


def _number(cell: str, name: str, line: int) -> int | float:
    text = cell.strip()
    if text.isdecimal() and text.isascii() and len(text) < 40:
        return int(text)
    value = float(text.replace("_", "")) if _NUMBER.fullmatch(text) else math.nan
    if math.isfinite(value):
        return value
    if text.lower().lstrip("+-") in _NO_NUMBER or value == value:
        raise RecordingError(f"{name} is {shown(text)}, not a finite number", line)
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
        raise RecordingError(f"{name} is {shown(text)}; write {text.replace(',', '')}", line)
    if re.fullmatch(r"\d+,\d+", text):
        raise RecordingError(f"{name} is {shown(text)}; write {text.replace(',', '.')}", line)
    raise RecordingError(f"{name} is {shown(text)}, not a number" if text else f"{name} is empty", line)


def _rate(row: Row, columns: _Columns) -> float:
    cell = row.cells[columns.rate]
    value = _number(cell, columns.rate_name, row.line)
    if 0 <= value <= MAX_RATE:
        return float(value)
    what = "below zero" if value < 0 else "more than 1e9 a second"
    raise RecordingError(f"{columns.rate_name} is {shown(cell)}, {what}", row.line)


@dataclass
class _Times:
    """A column of times: how a value is read and how many of its units are a second. The first one is second 0."""

    read: Callable[[str, int], int | float]
    per_second: int
    first: int | float | None = None

    def since_first(self, cell: str, line: int) -> float:
        value = self.read(cell, line)
        if self.first is None:
            self.first = value
        # Nanoseconds since 1970 are more than a float holds: whole numbers are subtracted before they are divided.
        return (value - self.first) / self.per_second


def _times(cell: str, columns: _Columns, line: int) -> _Times:
    """How the times of a recording are read, by the name of their column and the first of them."""
    name, unit = columns.time_name, columns.unit
    if unit is None and _ISO.fullmatch(cell.strip()):
        zoned = _ISO.fullmatch(cell.strip())[8] is not None  # type: ignore[index]  # it has just matched
        return _Times(lambda cell, line: _iso(cell, name, zoned, line), 10**9)
    if _ISO.fullmatch(cell.strip()):
        raise RecordingError(f"{name} is {shown(cell)}, not a number; a column of dates is called time", line)
    if unit is None and re.fullmatch(r"\d+[-:/.]\d+[-:/.]\d.*", cell.strip()):
        raise RecordingError(f"{name} is {shown(cell)}, neither a number nor a time {_EXAMPLE}", line)
    value = _number(cell, name, line)
    since_1970 = _since_1970(value)
    if unit is not None and since_1970 not in (None, unit):
        written = "seconds" if since_1970 == "s" else since_1970
        message = f"{name} is {shown(cell)}, by its size {written} since 1970; call the column time_{since_1970}"
        raise RecordingError(message, line)
    unit = unit or since_1970 or "s"
    if since_1970 is None and abs(value) / _UNITS[unit] > MAX_SECONDS:
        message = f"{name} is {shown(cell)}: neither seconds from a start nor s, ms, us or ns since 1970"
        raise RecordingError(message, line)
    return _Times(lambda cell, line: _number(cell, name, line), _UNITS[unit])


def _since_1970(value: float) -> str | None:
    """The unit in which ``value`` is a moment between 1985 and 2128, if any: they do not overlap."""
    for unit, parts in _UNITS.items():
        if 5e8 <= value / parts < 5e9:
            return unit
    return None


def _iso(cell: str, name: str, zoned: bool, line: int) -> int:
    """An ISO date and time in nanoseconds since 1970."""
    match = _ISO.fullmatch(cell.strip())
    parts = [int(part or 0) for part in match.groups()[:6]] if match else []
    if match is None or not _exists(*parts):
        raise RecordingError(f"{name} is {shown(cell)}, not a time {_EXAMPLE}", line)
    if (match[8] is not None) is not zoned:
        raise RecordingError(f"{name} is {shown(cell)}: some times have a zone and some have none", line)
    year, month, day, hour, minute, second = parts
    zone = (match[8] or "Z").upper().replace(":", "")
    ahead = 0 if zone == "Z" else int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[3:5]))
    seconds = ((_days(year, month, day) * 24 + hour) * 60 + minute - ahead) * 60 + second
    return seconds * 10**9 + int((match[7] or "0").ljust(9, "0"))


def _exists(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:
    if not (year > 0 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 61):
        return False
    following = _days(year + month // 12, month % 12 + 1, 1)
    return 1 <= day <= following - _days(year, month, 1)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar: years are counted from March, leap days fall at their ends."""
    year -= month < 3
    month = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719468
