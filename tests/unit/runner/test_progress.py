"""What a run says of itself while it lasts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from support.virtual_runs import simulate

from plg.runner.observer import Hooks, Progress
from plg.testing import Server, VirtualClock


def shown(rate: float, duration: float, server: Server | None = None) -> list[Progress]:
    told: list[Progress] = []
    pattern = {"type": "steady", "base_rate": rate, "duration": duration}
    simulate(pattern, server=server, hooks=Hooks(progress=told.append, progress_every=1.0))
    return [progress for progress in told if progress.stage == "sending"]


@pytest.mark.parametrize("rate", [0.5, 3.0, 25.0, 33.3, 450.0])
def test_the_actual_rate_of_a_run_without_trouble_is_the_target(rate: float) -> None:
    told = shown(rate, 30.0)
    assert len(told) >= 25
    for progress in told:
        assert progress.target_rate == pytest.approx(rate)
        assert progress.actual_rate == pytest.approx(rate, rel=1e-6)


def test_a_stall_shows_and_nothing_is_counted_twice() -> None:
    told = shown(2.0, 30.0, Server(VirtualClock(), stalled=[(10.0, 15.0)]))
    rates = [progress.actual_rate for progress in told]
    assert rates.count(0.0) >= 3
    assert max(rates) > 5
    moments = [0.0, *(progress.t for progress in told)]
    spans = [b - a for a, b in pairwise(moments)]
    total = sum(rate * span for rate, span in zip(rates, spans, strict=True))
    assert total == pytest.approx(told[-1].acked, abs=1.01)
