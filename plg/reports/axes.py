"""How charts show time and quantities: one time axis a run, and units chosen by what is to be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass

Floats = npt.NDArray[np.float64]

_CLOCK_FROM = 120.0
_HOUR, _DAY = 3600.0, 86400.0
_ORIGIN = 31_536_000_000
"""1971-01-01 in milliseconds. Counted from the epoch itself, a moment of four digits would be taken for a year."""

_SHORTEST = 1e-5
"""The shortest axis that is drawn (s): places have microseconds."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Elapsed time of a run of ``duration`` seconds: plain seconds up to two minutes, beyond that ``h:mm:ss``."""

    duration: float

    @property
    def clock(self) -> bool:
        return self.duration > _CLOCK_FROM

    def at(self, seconds: float) -> float:
        """Place on the axis. The clock counts milliseconds of a date, which Plotly shows without a time zone."""
        return _ORIGIN + round(seconds * 1000) if self.clock else round(seconds, 6)

    def places(self, seconds: Floats) -> list[float]:
        """`at` for each."""
        return [self.at(float(v)) for v in seconds]

    def layout(self) -> dict[str, Any]:
        """The axis as Plotly's ``layout.xaxis``."""
        common = {
            "range": [self.at(0.0), self.at(max(self.duration, _SHORTEST))],
            "nticks": 9,
            "minallowed": self.at(0.0),
        }
        if not self.clock:
            return {**common, "type": "linear", "ticksuffix": "s", "hoverformat": ".4~f"}
        day = "day %-j " if self.duration > _DAY else ""
        coarse = "%-M:%S" if self.duration <= _HOUR else "%-Hh%M" if not day else "day %-j<br>%-Hh"
        return {
            **common,
            "type": "date",
            "hoverformat": f"{day}%-H:%M:%S",
            "tickformatstops": [
                {"dtickrange": [None, 1000], "value": "%-H:%M:%S.%L"},
                {"dtickrange": [1000, 60_000], "value": "%-H:%M:%S"},
                {"dtickrange": [60_000, None], "value": coarse},
            ],
        }


def elapsed(seconds: float, span: float) -> str:
    """A moment as an axis of ``span`` seconds writes it: ``1:30``, ``2h05``, ``1d 6h``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if span <= _HOUR:
        return f"{60 * hours + minutes}:{rest:02d}"
    days, hours = divmod(hours, 24) if span > _DAY else (0, hours)
    return f"{days}d {hours}h" if span > _DAY else f"{hours}h{minutes:02d}"


@dataclass(frozen=True, slots=True)
class Scale:
    """The unit a chart shows: values are multiplied by ``factor`` and followed by ``suffix``."""

    factor: float
    suffix: str


_TIME_SCALES = (
    (1e-3, Scale(1e6, "us")),
    (1.0, Scale(1e3, "ms")),
    (300.0, Scale(1.0, "s")),
    (4 * 3600.0, Scale(1 / 60, " min")),
)


def time_scale(largest: float) -> Scale:
    """Microseconds to hours, by the largest value (s) to be shown."""
    for below, scale in _TIME_SCALES:
        if largest < below:
            return scale
    return Scale(1 / 3600, " h")


def finite(*curves: Floats) -> Floats:
    """All values of the curves that are numbers."""
    joined = np.concatenate([np.zeros(0), *curves])
    known: Floats = joined[np.isfinite(joined)]
    return known


def bridge(t: Floats, y: Floats) -> tuple[Floats, Floats]:
    """A curve sampled now and then, without the empty windows between its samples.

    A gap much longer (six times) than the usual distance of two samples stays a gap.
    """
    known = np.isfinite(y)
    times, values = t[known], y[known]
    if len(times) < 2:
        return times, values
    steps = np.diff(times)
    holes = np.flatnonzero(steps > 6 * np.median(steps)) + 1
    return np.insert(times, holes, times[holes - 1]), np.insert(values, holes, np.nan)
