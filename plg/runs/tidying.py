"""What a run of several generators left is removed once all of them are over."""

from __future__ import annotations

from plg.prepare import Prepared
from plg.runner.leaving import again
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.units import counted


def clean_up(prepared: Prepared) -> tuple[str, ...]:
    """Remove what the run left in its target; sentences for every report where something stays or cannot be told."""
    from plg.targets.leftovers import Leftovers  # few runs need it

    run = prepared.run_id
    try:
        with open_target(prepared.scenario.target, (), gate=prepared.gate) as target, Leftovers(target) as leftovers:
            known = leftovers.known().get(run)
            if known is None:
                return ()  # the target is gone with the run, or holds nothing of it
            remains = leftovers.clean(known)
    except TargetError as error:
        return (f"what the run left could not be removed: {error}",)
    left = remains.left
    held = f", {left.held:,} of them with a worker" if left.held else ""
    stays = (f"{counted(left.jobs, 'job')} stay in the target{held}: {again(run)}",) if left.jobs else ()
    return (*remains.blind, *stays)
