"""The end of a run in its target: what it left there is removed, where that was asked for, and counted."""

from __future__ import annotations

from plg.dataclass import dataclass
from plg.scenario import Scenario
from plg.targets.base import Target, TargetError
from plg.targets.register import Registration
from plg.units import counted


@dataclass(frozen=True, slots=True)
class Left:
    """Of ``residue`` jobs something is left; None where that is not known. ``said`` says why, or what was removed;
    ``notes`` are sentences for every report."""

    residue: int | None = None
    said: str = ""
    notes: tuple[str, ...] = ()


def asks_for_residue(scenario: Scenario) -> bool:
    """Whether a line speaks of what is left."""
    return any(line.subject.measure == "residue" for line in scenario.expect)


def clear_up(target: Target, registration: Registration, sent: int, *, clean: bool, counts: bool) -> Left:
    """Remove what the run left (``clean``), or only count it (``counts``). Never raises `TargetError`."""
    try:
        left = _clear_up(target, registration, clean=clean) if clean or counts else Left()
        if not clean:
            registration.leave(sent=sent)
        return left
    except TargetError as error:
        said = f"what the run left could not be {'removed' if clean else 'counted'}: {error}"
        return Left(None, said, (said,) if clean else ())


def _clear_up(target: Target, registration: Registration, *, clean: bool) -> Left:
    from plg.targets.leftovers import Leftovers  # few runs need it

    with Leftovers(target) as leftovers:
        known = registration.known
        remains = leftovers.clean(known) if clean else leftovers.look(known.entry)
    if remains.blind:
        said = "; ".join(remains.blind)
        return Left(None, said, remains.blind if clean else ())
    left = remains.left
    if not clean:
        return Left(left.jobs)
    held = f", {left.held:,} of them with a worker" if left.held else ""
    notes = (f"{counted(left.jobs, 'job')} stay in the target{held}: {again(known.entry.run)}",) if left.jobs else ()
    return Left(left.jobs, f"{counted(remains.removed.jobs, 'job')} removed{held}", notes)


def again(run: str) -> str:
    """How to remove the rest."""
    return f"plg clean {run} --target URL removes the rest"
