"""Where in a run each phase stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from support.pattern_documents import anything, curve

from plg.patterns.spans import MOST_INTERVALS, PhaseSpan, TooManySpans, spans


def steady(seconds: float, name: str | None = None) -> dict[str, Any]:
    phase: dict[str, Any] = {"type": "steady", "base_rate": 10, "duration": seconds}
    return phase if name is None else {**phase, "name": name}


def row(*phases: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "custom", "phases": list(phases), **more}


def listed(document: dict[str, Any]) -> list[tuple[str, list[list[float]]]]:
    return [(span.name, span.intervals().tolist()) for span in spans(curve(document))]


def test_a_single_phase_is_the_one_phase() -> None:
    assert listed(steady(4)) == [("phase-1", [[0, 4]])]
    assert listed(steady(4, "all")) == [("all", [[0, 4]])]
    assert listed({"type": "overlay", "layers": [steady(4), steady(5)]}) == [("phase-1", [[0, 5]])]


def test_phases_without_a_name_are_numbered_in_order() -> None:
    assert listed(row(steady(1), steady(2, "calm"), steady(3), row(steady(4), steady(5)))) == [
        ("phase-1", [[0, 1]]),
        ("calm", [[1, 3]]),
        ("phase-2", [[3, 6]]),
        ("phase-3", [[6, 15]]),
    ]


def test_a_number_that_is_taken_is_passed_over() -> None:
    assert [name for name, _ in listed(row(steady(1), steady(1, "phase-1"), steady(1)))] == [
        "phase-2",
        "phase-1",
        "phase-3",
    ]


def test_named_phases_are_found_wherever_they_stand() -> None:
    inner = row(steady(1, "a"), steady(1), repeat=2, name="pair")
    layers = {"type": "overlay", "layers": [inner, steady(3, "b")], "max_rate": 5, "name": "both"}
    assert listed(row(steady(1), layers, repeat=2)) == [
        ("phase-1", [[0, 1], [5, 6]]),
        ("both", [[1, 5], [6, 10]]),
        ("pair", [[1, 5], [6, 10]]),
        ("a", [[1, 2], [3, 4], [6, 7], [8, 9]]),
        ("b", [[1, 4], [6, 9]]),
    ]


def test_intervals_come_in_order_and_the_first_of_many_are_the_same() -> None:
    document = row(row(row(steady(1, "x"), steady(1), repeat=7), steady(3), repeat=5), steady(2), repeat=3)
    (span,) = (s for s in spans(curve(document)) if s.name == "x")
    all_of_them = span.intervals()
    assert span.times == len(all_of_them) == 105
    assert np.all(np.diff(all_of_them[:, 0]) > 0)
    assert span.first(10).tolist() == all_of_them[:10].tolist()
    assert span.end == pytest.approx(all_of_them[-1, 1])


def test_too_many_intervals_are_refused_but_membership_is_not() -> None:
    (first, _) = spans(curve(row(steady(1, "tick"), steady(1), repeat=1_000_000)))
    assert first.times == 1_000_000
    with pytest.raises(TooManySpans, match="stands 1,000,000 times"):
        first.intervals()
    assert len(first.first(MOST_INTERVALS)) == MOST_INTERVALS
    t = np.array([0.0, 0.5, 1.0, 1.5, 1_999_998.5, 1_999_999.5])
    assert first.contains(t).tolist() == [True, True, False, False, True, False]


def naming(document: dict[str, Any], counter: list[int]) -> dict[str, Any]:
    """The document with a name on every phase."""
    counter[0] += 1
    named = {**document, "name": f"n{counter[0]}"}
    for field in ("phases", "layers"):
        if field in named:
            named[field] = [naming(part, counter) for part in named[field]]
    return named


def by_hand(document: dict[str, Any], start: float, found: dict[str, list[float]]) -> None:
    """Every start of every phase by walking all repeats."""
    found.setdefault(document["name"], []).append(start)
    length = curve(document).duration
    for lap in range(document.get("repeat", 1)):
        at = start + lap * (length / document.get("repeat", 1))
        for part in document.get("phases", ()):
            by_hand(part, at, found)
            at += curve(part).duration
    for layer in document.get("layers", ()):
        by_hand(layer, start, found)


@settings(max_examples=60, deadline=None)
@given(anything)
def test_spans_are_those_of_a_walk_through_every_repeat(document: dict[str, Any]) -> None:
    named = naming(document, [0])
    wanted: dict[str, list[float]] = {}
    by_hand(named, 0.0, wanted)
    found: dict[str, PhaseSpan] = {span.name: span for span in spans(curve(named))}
    assert found.keys() == wanted.keys()
    for name, starts in wanted.items():
        rows = found[name].intervals()
        assert rows[:, 0] == pytest.approx(sorted(starts), abs=1e-9)
        assert found[name].contains(rows.mean(axis=1)).all()
        assert not found[name].contains(np.array([-1.0, rows[-1, 1] + 1e-6])).any()


def test_capping_keeps_the_names() -> None:
    capped = row(steady(1, "a"), row(steady(1, "b"), steady(2, "c")), max_rate=5)
    assert [name for name, _ in listed(capped)] == ["a", "phase-1", "b", "c"]
    assert curve(capped).peak() == 5
