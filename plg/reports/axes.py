"""How charts show time and quantities: one time axis a run, and units chosen by what is to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CLOCK_FROM = 120.0
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Elapsed time of a run of ``duration`` seconds: plain seconds up to two minutes, beyond that ``h:mm:ss``."""

    duration: float

    @property
    def clock(self) -> bool:
        return self.duration > _CLOCK_FROM

    def at(self, seconds: float) -> float:
        """Place on the axis. The clock counts milliseconds since the epoch, which Plotly shows without a time zone."""
        return float(round(seconds * 1000)) if self.clock else round(seconds, 6)

    def places(self, seconds: Floats) -> list[float]:
        """`at` for each."""
        return [int(v) for v in np.round(seconds * 1000)] if self.clock else [round(float(v), 6) for v in seconds]

    def layout(self) -> dict[str, Any]:
        """The axis as Plotly's ``layout.xaxis``."""
        common = {"range": [self.at(0.0), self.at(self.duration or 1.0)], "nticks": 9, "minallowed": self.at(0.0)}
        if not self.clock:
            return {**common, "type": "linear", "ticksuffix": "s", "hoverformat": ".4~f"}
        day = "day %-j " if self.duration > _DAY else ""
        return {
            **common,
            "type": "date",
            "hoverformat": f"{day}%-H:%M:%S",
            "tickformatstops": [
                {"dtickrange": [None, 1000], "value": "%-H:%M:%S.%L"},
                {"dtickrange": [1000, 60_000], "value": "%-H:%M:%S"},
                {"dtickrange": [60_000, None], "value": "%-H:%M" if not day else "day %-j<br>%-H:%M"},
            ],
        }


@dataclass(frozen=True, slots=True)
class Scale:
    """The unit a chart shows: values are multiplied by ``factor`` and followed by ``suffix``."""

    factor: float
    suffix: str


def time_scale(largest: float) -> Scale:
    """Microseconds, milliseconds or seconds, by the largest value (s) to be shown."""
    if largest < 1e-3:
        return Scale(1e6, "us")
    return Scale(1e3, "ms") if largest < 1.0 else Scale(1.0, "s")


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
