"""What plg promises itself, and whether the figures of one run keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.startup import BUDGETS, command_name

Medians = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""Contest, entry, figure, then ``median``, ``least`` and ``most``."""

NATIVE = ("redis-benchmark", "memtier")
MEMTIER_HOLDS_TEN, MEMTIER_HOLDS_A_MILLION = 0.008, 0.38
"""memtier's share of a CPU at 10,000 and 1,000,000 jobs/s on the machine for which the shares below were set.

Machines differ. A share that was set on one is therefore asked for twice: as it is, and as a ratio to what memtier
takes for the same work in the same run.
"""


@dataclass(frozen=True)
class Goal:
    """``observed`` is None where it could not be measured; such a goal is not met."""

    contest: str
    text: str
    observed: float | None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        if self.observed is None:
            return False
        return (self.at_least is None or self.observed >= self.at_least) and (
            self.at_most is None or self.observed <= self.at_most
        )


class _Figures:
    """Medians by contest, entry and figure; None for what is missing."""

    def __init__(self, medians: Medians) -> None:
        self._medians = medians

    def __call__(self, contest: str, entry: str, figure: str) -> float | None:
        found = self._medians.get(contest, {}).get(entry, {}).get(figure)
        return None if found is None else abs(found["median"])

    def ratio(self, contest: str, entry: str, rivals: tuple[str, ...], figure: str) -> float | None:
        """The entry's figure over the largest of the rivals'."""
        own = self(contest, entry, figure)
        others = [value for rival in rivals if (value := self(contest, rival, figure))]
        return None if own is None or not others else own / max(others)


def judge(medians: Medians) -> list[Goal]:
    """The goals of the contests that were held, in their order."""
    figures = _Figures(medians)
    goals = [
        *_most(figures), *_holding(figures), *_million(figures), *_ramp(figures), *_memory(figures), *_whole(figures),
    ]  # fmt: skip
    return [goal for goal in goals if goal.contest in medians]


def _most(figures: _Figures) -> list[Goal]:
    ratio = figures.ratio
    single = "plg, single values"
    return [
        Goal("most", "single-value LPUSH a second, over the faster native tool",
             ratio("most", single, NATIVE, "jobs_s"), at_least=1.1),
        Goal("most", "variadic LPUSH a second, over the faster native tool's single values",
             ratio("most", "plg", NATIVE, "jobs_s"), at_least=2.5),
        Goal("most", "CPU a job, single values, over memtier",
             ratio("most", single, ("memtier",), "cpu_us_job"), at_most=1.0),
        Goal("most", "CPU a job, single values, over redis-benchmark",
             ratio("most", single, ("redis-benchmark",), "cpu_us_job"), at_most=1.5),
    ]  # fmt: skip


def _holding(figures: _Figures) -> list[Goal]:
    ten = "hold-10000"
    goals = []
    for entry, lag, cpu in (("plg", 1.1, 0.06), ("plg, precise", 0.3, 0.16)):
        goals += [
            Goal(ten, f"10,000/s, {entry}: p99 lag, ms", figures(ten, entry, "lag_p99_ms"), at_most=lag),
            Goal(ten, f"10,000/s, {entry}: p99 error at the server, ms",
                 figures(ten, entry, "error_p99_ms"), at_most=lag),
            Goal(ten, f"10,000/s, {entry}: share of a CPU", figures(ten, entry, "cpu_share"), at_most=cpu),
            Goal(ten, f"10,000/s, {entry}: that share over memtier's",
                 figures.ratio(ten, entry, ("memtier",), "cpu_share"), at_most=cpu / MEMTIER_HOLDS_TEN),
            Goal(ten, f"10,000/s, {entry}: deviation of every 100 ms window",
                 figures(ten, entry, "window_deviation"), at_most=0.003),
        ]  # fmt: skip
    return goals


def _million(figures: _Figures) -> list[Goal]:
    return [
        Goal("million", "1,000,000/s: deviation", figures("million", "plg", "deviation"), at_most=0.0005),
        Goal("million", "1,000,000/s: share of a CPU", figures("million", "plg", "cpu_share"), at_most=0.25),
        Goal(
            "million",
            "1,000,000/s: that share over memtier's",
            figures.ratio("million", "plg", ("memtier",), "cpu_share"),
            at_most=0.25 / MEMTIER_HOLDS_A_MILLION,
        ),
        Goal(
            "million", "1,000,000/s: windows off by more than 1%", figures("million", "plg", "windows_off"), at_most=0.0
        ),
    ]


def _ramp(figures: _Figures) -> list[Goal]:
    return [
        Goal("ramp", "ramp 0 to 1,000/s: deviation", figures("ramp", "plg", "deviation"), at_most=0.001),
        Goal("ramp", "ramp 0 to 1,000/s: p99 lag, ms", figures("ramp", "plg", "lag_p99_ms"), at_most=1.2),
        Goal(
            "ramp",
            "ramp 0 to 1,000/s: p99 error at the server, ms",
            figures("ramp", "plg", "error_p99_ms"),
            at_most=1.2,
        ),
    ]


def _memory(figures: _Figures) -> list[Goal]:
    return [
        Goal("memory", "memory of a long run, MB", figures("memory", "plg", "most_mb"), at_most=100.0),
        Goal("memory", "memory gained after the fifth minute, MB", figures("memory", "plg", "growth_mb"), at_most=2.0),
    ]


def _whole(figures: _Figures) -> list[Goal]:
    goals = [
        Goal(
            "check",
            "plg check, seconds over the length of the scenario",
            figures("check", "plg", "over_s"),
            at_most=1.0,
        )
    ]
    for words, budget in BUDGETS.items():
        name = command_name(words)
        goals.append(Goal("startup", f"{name}, s", figures("startup", name, "wall_s"), at_most=budget))
    return goals
