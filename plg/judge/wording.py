"""Figures and details of a verdict, in words."""

from __future__ import annotations

from plg.measures import MEASURES, RECKONED_FROM
from plg.scenario import Subject
from plg.units import counted as counted
from plg.units import format_duration, format_percent, format_rate, format_size


def figure(value: float, unit: str) -> str:
    """A value in its unit, for people: ``7.3%``, ``250ms``, ``1,204``."""
    if unit == "s":
        return format_duration(value)
    if unit == "fraction":
        return format_percent(value)
    if unit == "jobs/s":
        return format_rate(value)
    if unit == "bytes":
        return format_size(value)
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def subject_text(subject: Subject) -> str:
    """``p99(latency) during stampede``."""
    name = f"{subject.aggregate}({subject.measure})" if subject.aggregate else subject.measure
    return f"{name} during {subject.during}" if subject.during else name


def where(subject: Subject) -> str:
    """`` in stampede``, or nothing for the whole run."""
    return f" in {subject.during}" if subject.during else ""


def moment(t: float, phase: str | None) -> str:
    """``12.4s in stampede``."""
    at = f"{t:.1f}s" if t < 60 else format_duration(t)
    return f"{at} in {phase}" if phase else at


def nothing_to_read(subject: Subject, *, acked: bool = True) -> str:
    """Why a subject has no value over its span; ``acked``: jobs of another time were answered in it."""
    kind = MEASURES[subject.measure].kind
    if subject.measure in RECKONED_FROM:
        return f"too few {RECKONED_FROM[subject.measure]} samples{where(subject)}"
    if kind in ("time", "gauge"):
        return f"no {subject.measure} samples{where(subject)}"
    if subject.measure == "deviation":
        return f"nothing was planned{where(subject)}" + (", yet jobs were acknowledged in it" if acked else "")
    if subject.measure == "error_rate":
        return f"nothing was sent{where(subject)}"
    return f"no time passed{where(subject)}"
