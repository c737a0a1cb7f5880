"""One pattern after another, any number of times over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import pairwise

import numpy as np

from plg.dataclass import dataclass
from plg.patterns.base import MERGEABLE, MOST_PIECES, Curve, Floats, Indices, TooManyPieces, laps, slack, within
from plg.patterns.named import Named
from plg.patterns.polyline import Polyline, join


@dataclass(frozen=True)
class Sequence(Curve):
    """The parts in order, the whole row ``repeat`` times::

        | a |  b  | c | a |  b  | c |     k = ⌊t/P⌋ rows are over, P the length of a row, C its jobs
        0             P            2P     part i holds u = t - k·P when starts[i] <= u < starts[i+1]
                                          rate(t) = part_i.rate(u - starts[i])
                                          count(t) = k·C + jobs before part i + part_i.count(u - starts[i])

    Queries are sorted to their parts once, by bisection; neighbours made of straight pieces are one table, and a
    sequence inside a sequence is laid out flat: neither length nor nesting costs a query more than that bisection.
    """

    parts: tuple[Curve, ...]
    repeat: int = 1

    @cached_property
    def starts(self) -> Floats:
        """When each part starts within a row."""
        return _running([part.duration for part in self.parts])[:-1]

    @cached_property
    def period(self) -> float:
        """Length of one row."""
        return float(_running([part.duration for part in self.parts])[-1])

    @cached_property
    def duration(self) -> float:
        return self.period * self.repeat

    @cached_property
    def _leaves(self) -> tuple[list[Curve], Floats]:
        """Every part that is no plain sequence itself, and when it starts within a row."""
        leaves, starts = [], []
        stack: list[tuple[Curve, float]] = [(p, float(s)) for p, s in zip(self.parts, self.starts, strict=True)][::-1]
        while stack:
            part, start = stack.pop()
            if isinstance(part, Named):
                stack.append((part.inner, start))
            elif isinstance(part, Sequence) and part.repeat == 1:
                stack += [(p, start + float(s)) for p, s in zip(part.parts, part.starts, strict=True)][::-1]
            else:
                leaves.append(part)
                starts.append(start)
        return leaves, np.array(starts)

    @cached_property
    def _groups(self) -> _Groups:
        return _Groups(*self._leaves, self.period)

    @cached_property
    def total(self) -> float:
        return self._groups.total * self.repeat

    def rate(self, t: Floats) -> Floats:
        _, u = laps(within(t, self.duration), self.period, self.repeat)
        return self._groups.rate(u)

    def count(self, t: Floats) -> Floats:
        k, u = laps(within(t, self.duration), self.period, self.repeat)
        return k * self._groups.total + self._groups.count(u)

    def inverse(self, n: Floats) -> Floats:
        n = np.clip(np.asarray(n, dtype=np.float64), 0.0, self.total)
        row = self._groups.total
        if row == 0:
            return np.zeros_like(n)
        k = np.clip(np.ceil((n - slack(n)) / row) - 1, 0.0, self.repeat - 1)
        t = k * self.period + self._groups.inverse(np.clip(n - k * row, 0.0, row))
        return np.where(n > 0, np.minimum(t, self.duration), 0.0)

    def peak(self) -> float:
        return max(leaf.peak() for leaf in self._leaves[0])

    def segments(self) -> Floats | None:
        rows = []
        for leaf in self._leaves[0]:
            piece = leaf.segments()
            if piece is None:
                return None
            rows.append(piece)
        row = np.concatenate(rows)
        return np.tile(row, (self.repeat, 1)) if len(row) * self.repeat <= MERGEABLE else None

    def breaks(self) -> Floats:
        leaves, starts = self._leaves
        inside = [np.concatenate([[s], s + leaf.breaks()]) for s, leaf in zip(starts, leaves, strict=True)]
        return self._over_rows(np.concatenate(inside))[1:]

    def curvature(self, t: Floats) -> Floats:
        _, u = laps(within(t, self.duration), self.period, self.repeat)
        return self._groups.curvature(u)

    def capped(self, cap: float) -> Curve:
        if self.peak() <= cap:
            return self
        return Sequence(tuple(leaf.capped(cap) for leaf in self._leaves[0]), self.repeat)

    def above(self, cap: float) -> tuple[Floats, Floats]:
        starts, ends = [np.empty(0)], [np.empty(0)]
        for leaf, start in zip(*self._leaves, strict=True):
            if leaf.peak() > cap:
                first, last = leaf.above(cap)
                starts.append(start + first)
                ends.append(start + last)
        return join(self._over_rows(np.concatenate(starts)), self._over_rows(np.concatenate(ends)))

    def _over_rows(self, times: Floats) -> Floats:
        if len(times) * self.repeat > MOST_PIECES:
            raise TooManyPieces(f"{len(times) * self.repeat:,} stretches are too many to list")
        return np.asarray((np.arange(self.repeat)[:, None] * self.period + times).ravel())


class _Groups:
    """One row as a list of evaluators: straight neighbours share one table, everything else stands for itself."""

    def __init__(self, leaves: list[Curve], starts: Floats, end: float) -> None:
        self._end = end
        self._members: list[Curve | Polyline] = []
        begins: list[float] = []
        totals: list[float] = []
        run = _Run()
        for leaf, start in zip(leaves, starts.tolist(), strict=True):
            rows = leaf.segments()
            if rows is not None:
                run.add(rows, start)
                continue
            for member, begin in run.close():
                self._append(member, begin, begins, totals)
            self._append(leaf, start, begins, totals)
        for member, begin in run.close():
            self._append(member, begin, begins, totals)
        self._begins, self._cum = np.array(begins), _running(totals)
        self.total = float(self._cum[-1])

    def _append(self, member: Curve | Polyline, begin: float, begins: list[float], totals: list[float]) -> None:
        self._members.append(member)
        begins.append(begin)
        totals.append(member.total)

    def _spread(self, index: Indices, x: Floats, answer: Callable[[Curve | Polyline, Floats], Floats]) -> Floats:
        """``answer(member, its part of x)`` for every member that ``index`` names, put together again."""
        shape, index, x = x.shape, index.ravel(), x.ravel()
        if not len(x):
            return x.reshape(shape)
        order = None if np.all(index[1:] >= index[:-1]) else np.argsort(index, kind="stable")
        index, x = (index, x) if order is None else (index[order], x[order])
        cuts = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(x)]
        found = np.empty_like(x)
        for low, high in pairwise(cuts):
            found[low:high] = answer(self._members[index[low]], x[low:high])
        if order is not None:
            back = np.empty_like(found)
            back[order] = found
            found = back
        return found.reshape(shape)

    def _locate(self, u: Floats) -> tuple[Indices, Floats]:
        index: Indices = np.asarray(np.searchsorted(self._begins, u, side="right") - 1)
        return index, u - self._begins[index]

    def rate(self, u: Floats) -> Floats:
        return self._spread(*self._locate(u), lambda member, x: member.rate(x))

    def curvature(self, u: Floats) -> Floats:
        return self._spread(*self._locate(u), lambda m, x: x * 0.0 if isinstance(m, Polyline) else m.curvature(x))

    def count(self, u: Floats) -> Floats:
        index, x = self._locate(u)
        grown, inside = np.zeros_like(x), (x > 0) & (u < self._end)  # on a seam the sum is known: nobody need be asked
        if inside.any():
            grown[inside] = self._spread(index[inside], x[inside], lambda member, x: member.count(x))
        return np.where(u < self._end, np.minimum(self._cum[index] + grown, self._cum[index + 1]), self.total)

    def inverse(self, m: Floats) -> Floats:
        index: Indices = np.asarray(np.searchsorted(self._cum, m - slack(m), side="left") - 1)
        index = np.clip(index, 0, len(self._members) - 1)
        x = np.clip(m - self._cum[index], 0.0, self._cum[index + 1] - self._cum[index])
        return self._begins[index] + self._spread(index, x, lambda member, x: member.inverse(x))


class _Run:
    """Straight neighbours gathered until something that bends ends their row."""

    def __init__(self) -> None:
        self._rows: list[Floats] = []
        self._starts: list[Floats] = []

    def add(self, rows: Floats, start: float) -> None:
        self._rows.append(rows)
        inner = np.cumsum(rows[:, 0])
        inner[1:], inner[0] = inner[:-1], 0.0
        self._starts.append(start + inner)

    def close(self) -> Iterable[tuple[Polyline, float]]:
        """The run as one table with its start, or nothing where there was none."""
        if not self._rows:
            return ()
        starts = np.concatenate(self._starts)
        line = Polyline(np.concatenate(self._rows), starts - starts[0])
        self._rows, self._starts = [], []
        return ((line, float(starts[0])),)


def _running(values: Iterable[float]) -> Floats:
    """0 and the running sums, each correct to the last bit or two (Neumaier's compensation)."""
    total, lost, sums = 0.0, 0.0, [0.0]
    for value in values:
        grown = total + value
        lost += (total - grown) + value if total >= value else (value - grown) + total
        total = grown
        sums.append(total + lost)
    if not math.isfinite(total):
        raise TooManyPieces("the pattern is too long to be counted")
    return np.array(sums)
