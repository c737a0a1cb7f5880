"""The exit code and the last line of a command whose artifacts may not all have been written."""

from __future__ import annotations

from plg.judge.verdict import USAGE, worst
from plg.reports.artifacts import Artifacts


def closing(code: int, reason: str, artifacts: Artifacts | None) -> tuple[int, str]:
    """The exit code and the reason to end with: what programs read and could not be written is no pass."""
    if artifacts is None or not artifacts.lost:
        return code, reason
    lost = losses(artifacts)
    graver = worst([code, USAGE])
    return graver, f"{lost}; {reason}" if graver != code else f"{reason}; {lost}"


def losses(artifacts: Artifacts) -> str:
    """Which files could not be written, and why."""
    return "; ".join(f"{path} could not be written: {why}" for path, why in artifacts.lost.items())
