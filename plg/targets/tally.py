"""How much of a run is still there: by key, and how many jobs that are."""

from __future__ import annotations

from dataclasses import field

from plg.dataclass import dataclass


@dataclass(slots=True)
class Tally:
    """Elements and keys that were found, by the key (or all keys of one name) that they stand in; of ``held`` ones the
    jobs are with a worker. A job is counted once, wherever it stands."""

    counts: dict[str, int] = field(default_factory=dict)
    held_counts: dict[str, int] = field(default_factory=dict)
    _seen: bytearray = field(default_factory=bytearray, repr=False)
    _held: bytearray = field(default_factory=bytearray, repr=False)

    def add(self, where: str, seqs: list[int], *, held: bool = False) -> None:
        if not seqs:
            return
        counts = self.held_counts if held else self.counts
        counts[where] = counts.get(where, 0) + len(seqs)
        for marks in (self._seen, self._held) if held else (self._seen,):
            missing = min(max(seqs), MOST_JOBS) + 1 - len(marks)
            if missing > 0:
                marks.extend(bytes(missing))
            for seq in seqs:
                if seq <= MOST_JOBS:
                    marks[seq] = 1

    def is_held(self, seq: int) -> bool:
        """Whether that job is with a worker."""
        return seq < len(self._held) and self._held[seq] == 1

    @property
    def jobs(self) -> int:
        """How many jobs of the run something was found of."""
        return self._seen.count(1)

    @property
    def held(self) -> int:
        """How many of them are with a worker."""
        return self._held.count(1)

    @property
    def found(self) -> int:
        """Elements and keys of jobs that no worker has."""
        return sum(self.counts.values())


MOST_JOBS = 1 << 30
"""Jobs a run has at the most; a greater number in an id is none that plg gave."""
