"""What became of jobs, in columns: the one form in which answers go from a connection to whoever counts them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Answers:
    """Jobs whose fate became known, a row for each group of them, in order of time. Times in seconds of the run.

    Row i: the ``sizes[i]`` jobs that were due at ``dues[i]`` were heard of at ``moments[i]``. They are confirmed, but
    where the row is in ``failed``, with the server's words, or in ``unknown``, with the reason.
    ``timed`` are the rows that were waited for: of them the moment is exact. ``sent`` tells when the timed and the
    failed ones were handed over.
    """

    __slots__ = ("dues", "failed", "moments", "sent", "sizes", "timed", "unknown")

    def __init__(self) -> None:
        self.dues: list[Floats] = []
        self.sizes: list[int] = []
        self.moments: list[float] = []
        self.timed: list[int] = []
        self.sent: dict[int, float] = {}
        self.failed: dict[int, str] = {}
        self.unknown: dict[int, str] = {}

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.dues)

    def extend(self, other: Answers) -> None:
        """Add the rows of ``other`` behind those that are there."""
        first = len(self.dues)
        self.dues += other.dues
        self.sizes += other.sizes
        self.moments += other.moments
        if other.timed or other.failed or other.unknown:
            self.timed += [first + row for row in other.timed]
            self.sent |= {first + row: moment for row, moment in other.sent.items()}
            self.failed |= {first + row: words for row, words in other.failed.items()}
            self.unknown |= {first + row: words for row, words in other.unknown.items()}

    def confirmed(self) -> Answers:
        """The rows of confirmed jobs."""
        if not self.failed and not self.unknown:
            return self
        found, timed = Answers(), set(self.timed)
        for row, due in enumerate(self.dues):
            if row in self.failed or row in self.unknown:
                continue
            if row in timed:
                found.timed.append(len(found))
                found.sent[len(found)] = self.sent[row]
            found.dues.append(due)
            found.sizes.append(self.sizes[row])
            found.moments.append(self.moments[row])
        return found
