"""What runs left in a target: which there are, how much of each is there, and its removal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from plg.dataclass import dataclass
from plg.queues.traces import Traces
from plg.targets.base import Target
from plg.targets.cleaning import PATIENCE, Cleaner
from plg.targets.register import Going, Known, RunEntry, forget, known_runs
from plg.targets.routed import Routed
from plg.targets.shared_limit import PREFIX
from plg.targets.tally import Tally


@dataclass(frozen=True, slots=True)
class Remains:
    """What was ``removed`` of a run, and what is ``left`` of it. ``blind``: what cannot be told from other jobs."""

    removed: Tally
    left: Tally
    blind: tuple[str, ...]


class Leftovers:
    """Looks at an open target over connections of its own. All of it may raise `TargetError`."""

    def __init__(self, target: Target) -> None:
        self._routed = Routed(target)

    def known(self) -> dict[str, Known]:
        """The runs that the target knows of, the last one first."""
        return known_runs(self._routed)

    def going(self) -> Going:
        """Which runs go on."""
        return Going.seen(self._routed)

    def look(self, entry: RunEntry) -> Remains:
        """How much of the run is there. Changes nothing."""
        traces, blind = self._traces(entry)
        return Remains(Tally(), self._cleaner(entry, traces).look(), blind)

    def waiting(self, entry: RunEntry) -> set[int]:
        """The numbers of the jobs that stand where workers take jobs from. Changes nothing."""
        traces, _ = self._traces(entry)
        return self._cleaner(entry, traces).among({queue.key for queue in entry.queues})

    def clean(self, known: Known, *, force: bool = False, patience: float = PATIENCE) -> Remains:
        """Remove what is there of the run; with ``force`` also jobs that a worker has.

        A run of which nothing is left is forgotten.
        """
        entry = known.entry
        traces, blind = self._traces(entry)
        cleaner = self._cleaner(entry, traces, force=force)
        removed = cleaner.clean(patience)
        # What plg keeps there while a run goes on, and a crashed one left; a user who may not remove it made none.
        keys = [f"{PREFIX}{entry.run}", *(key for queue in entry.queues for key in queue.tellings(entry.run))]
        self._routed.ask([("UNLINK", key) for key in dict.fromkeys(keys)])
        left = cleaner.look()
        if not left.jobs:
            cleaner.unmake(entry.fresh)
            if known.members and not blind:
                forget(self._routed, known)
        return Remains(removed, left, blind)

    def _traces(self, entry: RunEntry) -> tuple[list[Traces], tuple[str, ...]]:
        """Where jobs of the run may lie, and sentences about what of it cannot be told from other jobs."""
        found, blind = [], []
        for queue in entry.queues:
            told = queue.traces(entry.run)
            if told is None:
                words = f"the format {queue.format.name} does not say where its jobs lie, so they stay"
                blind.append(f"{queue.key}: {words}")
                continue
            if told.blind:
                blind.append(f"{queue.key}: {told.blind}")
            if told.further is not None:
                question, places_in = told.further
                [answer] = self._routed.told([question])
                told = replace(told, places=(*told.places, *places_in(answer)))
            found.append(told)
        return found, tuple(blind)

    def _cleaner(self, entry: RunEntry, traces: Sequence[Traces], *, force: bool = False) -> Cleaner:
        return Cleaner(self._routed, traces, entry.planned, force=force)

    def close(self) -> None:
        self._routed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
