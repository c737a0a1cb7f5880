"""Looks at the gauges, and their log in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plg.measures import GAUGES
from plg.runner.recording import Floats

_AT = {name: place for place, name in enumerate(GAUGES, start=1)}
"""Where a gauge stands in a row of samples; the moment stands first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Gauges at ``t`` (s), by their names in `plg.measures.GAUGES`; one that could not be taken is left out or NaN."""

    t: float
    gauges: Mapping[str, float]
    age_at_least: float = math.nan
    """What the age is at least, where it cannot be told in whole: a limit is held against that."""
    asked: float | None = None
    """When the look at the queues began (s), where that was before ``t``: it shows them as they were since."""
    fault: str = ""
    """Why the queues could not be seen, where they could not."""
    untaken: float = math.nan
    """Jobs among the waiting that no worker has been given."""

    def __getitem__(self, gauge: str) -> float:
        return self.gauges.get(gauge, math.nan)

    def row(self) -> Floats:
        """``t``, then each gauge in the order of their table."""
        return np.array([self.t, *(self[name] for name in GAUGES)])


class SampleLog:
    """Samples in bounded number: when full, neighbours are joined and the larger value of each gauge stays."""

    def __init__(self, limit: int = 16_384) -> None:
        # All rows stand here from the start, so that a long run holds no more than a short one.
        self._rows = np.full((limit, 1 + len(GAUGES)), np.nan)
        self._used = 0
        self._stride = 1
        self._held = 0

    def add(self, sample: Sample) -> None:
        self.add_row(sample.row())

    def add_row(self, row: Floats) -> None:
        """Add a sample given as `Sample.row` gives it."""
        if self._held == 0:
            if self._used == len(self._rows):
                self._halve()
            self._rows[self._used] = row
            self._used += 1
        else:
            self._rows[self._used - 1] = _larger(self._rows[self._used - 1], row)
        self._held = (self._held + 1) % self._stride

    def _halve(self) -> None:
        half = len(self._rows) // 2
        self._rows[:half] = _larger(self._rows[0 : 2 * half : 2], self._rows[1 : 2 * half : 2])
        self._used = half
        self._stride *= 2

    def columns(self) -> tuple[Floats, dict[str, Floats]]:
        """The moments, and each gauge at them."""
        table = self._rows[: self._used]
        return table[:, 0].copy(), {name: table[:, at].copy() for name, at in _AT.items()}


def _larger(a: Floats, b: Floats) -> Floats:
    """The larger of each gauge, at the moment of the former."""
    joined = np.fmax(a, b)
    joined[..., 0] = a[..., 0]
    # Jobs whose age could not be told are not made good by an empty queue a moment later.
    age = _AT["queue_age"]
    joined[..., age] = np.where(_undated(a) | _undated(b), np.nan, joined[..., age])
    return joined


def _undated(rows: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((rows[..., _AT["queue_depth"]] > 0) & np.isnan(rows[..., _AT["queue_age"]]))
