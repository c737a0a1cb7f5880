"""The whole family in one place: from a phase of a document to its pattern."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plg.dataclass import dataclass
from plg.patterns.base import Curve, PatternError
from plg.patterns.burst import Burst
from plg.patterns.chaos import Chaos
from plg.patterns.clip import clip
from plg.patterns.named import Named
from plg.patterns.overlay import Overlay
from plg.patterns.points import Points
from plg.patterns.ramp import ramp
from plg.patterns.replay import replay
from plg.patterns.sequence import Sequence
from plg.patterns.sine import Sine
from plg.patterns.staircase import Staircase
from plg.patterns.steady import Steady
from plg.recordings import RecordingError, Recordings
from plg.units import parse_duration, parse_rate

Phase = Mapping[str, Any]
Place = tuple[str | int, ...]

DEEPEST = 40
"""The most overlays one inside another; sequences may nest to any depth."""


def rate_of(value: float | str) -> float:
    """A rate of a document in jobs per second."""
    return parse_rate(value) if isinstance(value, str) else float(value)


def seconds_of(value: float | str) -> float:
    """A duration of a document in seconds."""
    return parse_duration(value) if isinstance(value, str) else float(value)


def _steady(phase: Phase, recordings: Recordings) -> Curve:
    return Steady(rate_of(phase["base_rate"]), seconds_of(phase["duration"]))


def _ramp(phase: Phase, recordings: Recordings) -> Curve:
    ends = rate_of(phase["start_rate"]), rate_of(phase["end_rate"])
    return ramp(*ends, seconds_of(phase["duration"]), phase.get("ramp_type", "linear"))


def _sine(phase: Phase, recordings: Recordings) -> Curve:
    amplitude, angle = rate_of(phase["amplitude"]), float(phase.get("phase", 0.0))
    if amplitude < 0:
        amplitude, angle = -amplitude, angle + math.pi
    times = seconds_of(phase["period"]), seconds_of(phase["duration"])
    return Sine(rate_of(phase["base_rate"]), amplitude, *times, angle)


def _burst(phase: Phase, recordings: Recordings) -> Curve:
    return Burst(
        rate_of(phase["base_rate"]),
        rate_of(phase["burst_rate"]),
        seconds_of(phase["burst_duration"]),
        seconds_of(phase["burst_interval"]),
        seconds_of(phase["duration"]),
    )


def _staircase(phase: Phase, recordings: Recordings) -> Curve:
    ends = rate_of(phase["start_rate"]), rate_of(phase["end_rate"])
    return Staircase(*ends, int(phase["steps"]), seconds_of(phase["duration"]))


def _chaos(phase: Phase, recordings: Recordings) -> Curve:
    ends = rate_of(phase["base_rate"]), rate_of(phase["max_rate"])
    return Chaos(*ends, seconds_of(phase["period"]), seconds_of(phase["duration"]), int(phase.get("seed", 0)))


def _points(phase: Phase, recordings: Recordings) -> Curve:
    rows = tuple((seconds_of(point["at"]), rate_of(point["rate"])) for point in phase["points"])
    return Points(rows, phase.get("interpolation", "linear"))


def _replay(phase: Phase, recordings: Recordings) -> Curve:
    try:
        rows = recordings.rows(phase["file"])
    except RecordingError as error:
        raise PatternError(f"{phase['file']}: {error}") from None
    return replay(rows, float(phase.get("scale", 1.0)), float(phase.get("speed", 1.0)))


LEAVES: Mapping[str, Callable[[Phase, Recordings], Curve]] = {
    "steady": _steady,
    "ramp": _ramp,
    "sine": _sine,
    "burst": _burst,
    "staircase": _staircase,
    "chaos": _chaos,
    "points": _points,
    "replay": _replay,
}
"""Every pattern that holds no other pattern. A new one is a file of its own and a line here."""

CONTAINERS: Mapping[str, str] = {"custom": "phases", "overlay": "layers"}
"""The patterns that hold others, and the field that holds them."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A phase of the document on its way to a pattern: its place, and the cap that the sequences around it set."""

    phase: Phase
    path: Place
    cap: float
    depth: int


def read(phase: Phase, files: Path | Recordings, path: Place = ()) -> Curve:
    """The pattern of a resolved, valid phase: no parameters left, rates and durations numbers or texts with a unit.

    ``files`` is the folder that replayed files stand in, or what has been read of it. `PatternError` names the phase by
    its ``path``.
    """
    recordings = files if isinstance(files, Recordings) else Recordings(files)
    nodes = _collect(phase, path)
    built: dict[Place, Curve] = {}
    for node in reversed(nodes):
        try:
            built[node.path] = _build(node, recordings, built)
        except PatternError as error:
            error.path = error.path or node.path
            raise
    return built[path]


def _collect(phase: Phase, path: Place) -> list[_Node]:
    """All phases, every one before those inside it; without recursion, since nesting is the user's."""
    nodes = [_Node(phase, path, _cap(phase, math.inf), 0)]
    for node in nodes:
        field = CONTAINERS.get(node.phase["type"])
        if field is None:
            continue
        layered = field == "layers"
        outer, depth = (math.inf, node.depth + 1) if layered else (node.cap, node.depth)
        if depth > DEEPEST:
            raise PatternError(f"more than {DEEPEST} overlays stand one inside another", node.path)
        for i, inner in enumerate(node.phase[field]):
            nodes.append(_Node(inner, (*node.path, field, i), _cap(inner, outer), depth))
    return nodes


def _cap(phase: Phase, outer: float) -> float:
    """The lower of the phase's own cap and the one around it: a cap over a sequence is a cap over each part."""
    own = phase.get("max_rate") if phase["type"] != "chaos" else None
    return outer if own is None else min(outer, rate_of(own))


def _build(node: _Node, recordings: Recordings, built: Mapping[Place, Curve]) -> Curve:
    phase, kind = node.phase, node.phase["type"]
    field = CONTAINERS.get(kind)
    if field is None:
        curve = LEAVES[kind](phase, recordings).capped(node.cap)
    else:
        inner = tuple(built[(*node.path, field, i)] for i in range(len(phase[field])))
        curve = Sequence(inner, int(phase.get("repeat", 1))) if kind == "custom" else clip(Overlay(inner), node.cap)
    if not 0 < curve.duration < 1e12:
        raise PatternError(f"a phase lasts longer than nothing and shorter than 1e12 s, not {curve.duration:g} s")
    name = phase.get("name")
    return Named(name, curve) if name else curve
