"""From a phase of a document to its pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.pattern_documents import HERE, curve

from plg.patterns.base import Curve, PatternError
from plg.patterns.registry import CONTAINERS, LEAVES, read


def test_texts_with_units_and_bare_numbers_mean_the_same() -> None:
    texts = {"type": "sine", "base_rate": "12000/m", "amplitude": "288_000/h", "period": "2000ms", "duration": "0.1m"}
    numbers = {"type": "sine", "base_rate": 200, "amplitude": 80, "period": 2, "duration": 6}
    t = np.linspace(0, 6, 100)
    assert np.allclose(curve(texts).rate(t), curve(numbers).rate(t))
    assert curve(texts).duration == curve(numbers).duration == 6


def test_the_example_of_a_sale() -> None:
    sale = curve({"type": "custom", "phases": [
        {"name": "doors", "type": "ramp", "start_rate": 10, "end_rate": 200, "duration": "4s",
         "ramp_type": "exponential"},
        {"name": "crowd", "type": "sine", "base_rate": 200, "amplitude": 80, "period": "2s", "duration": "6s"},
        {"name": "stampede", "type": "burst", "base_rate": 50, "burst_rate": 400, "burst_duration": "500ms",
         "burst_interval": "2s", "duration": "6s"}]})  # fmt: skip
    assert sale.duration == 16
    assert sale.peak() == 400
    assert sale.total == pytest.approx(4 * 190 / np.log(20) + 1200 + 825)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ({"type": "ramp", "ramp_type": "exponential", "start_rate": 0, "end_rate": 9, "duration": 1}, "above zero"),
        ({"type": "burst", "base_rate": 1, "burst_rate": 9, "burst_duration": 3, "burst_interval": 2, "duration": 9},
         "no longer than its interval"),
        ({"type": "points", "points": [{"at": 0, "rate": 1}]}, "at least two"),
        ({"type": "points", "points": [{"at": 1, "rate": 1}, {"at": 2, "rate": 1}]}, "stands at 0s"),
        ({"type": "points", "points": [{"at": 0, "rate": 1}, {"at": 0, "rate": 1}]}, "later than the one before"),
        ({"type": "steady", "base_rate": 1, "duration": 0}, "longer than nothing"),
    ],
)  # fmt: skip
def test_a_pattern_without_meaning_is_refused_by_place(phase: dict[str, Any], words: str) -> None:
    fine = {"type": "steady", "base_rate": 1, "duration": 1}
    document = {"type": "custom", "phases": [fine, {"type": "overlay", "layers": [phase]}]}
    with pytest.raises(PatternError, match=words) as caught:
        read(document, HERE, ("pattern",))
    assert caught.value.path == ("pattern", "phases", 1, "layers", 0)


def test_a_cap_of_chaos_is_its_own_top() -> None:
    chaos = curve({"type": "chaos", "base_rate": 20, "max_rate": 300, "period": 0.5, "duration": 10, "seed": 7})
    assert chaos.peak() > 200


def test_the_lowest_of_the_caps_around_a_phase_holds() -> None:
    steady = {"type": "steady", "base_rate": 100, "duration": 1, "max_rate": 60}
    inner = {"type": "custom", "phases": [steady, {**steady, "max_rate": 10}], "max_rate": 40}
    row = curve({"type": "custom", "phases": [inner, steady], "max_rate": 50})
    assert row.rate(np.array([0.5, 1.5, 2.5])).tolist() == [40, 10, 50]


def test_a_cap_over_layers_holds_for_their_sum_alone() -> None:
    steady = {"type": "steady", "base_rate": 100, "duration": 1}
    both = curve({"type": "overlay", "layers": [steady, {**steady, "duration": 2}], "max_rate": 150})
    assert both.rate(np.array([0.5, 1.5])).tolist() == [150, 100]
    assert both.total == 250


def test_every_kind_reads() -> None:
    assert set(LEAVES) | set(CONTAINERS) == {
        "steady", "ramp", "sine", "burst", "staircase", "chaos", "points", "replay", "custom", "overlay",
    }  # fmt: skip
    assert all(issubclass(type(curve(phase)), Curve) for phase in [{"type": "steady", "base_rate": 0, "duration": 1}])
