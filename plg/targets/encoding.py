"""Jobs as bytes on the wire: LPUSH for lists (many jobs a command), XADD for streams (one each)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from plg.language.templates import Payload, Slot
from plg.scenario import Job
from plg.targets.rows import Bytes, RowWriter

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Piece = bytes | memoryview
"""Of a memory view the bytes count one by one."""
MOST_JOBS_A_COMMAND = 512
"""LPUSH takes any number of values; beyond this the gain is gone and one refusal would cost ever more jobs."""

FEWEST_ROWS = 6
"""Below so many jobs, making them one by one is quicker than setting up a matrix."""


class Command(NamedTuple):
    """The bytes for one ``key``, in ``pieces``, and the due times of their jobs.

    ``single``: one answer stands for all of them; else there is one each. Pieces may lie where the next batch will be
    made: they are to be sent, or copied, before.
    """

    pieces: Sequence[Piece]
    due: Floats
    single: bool
    key: str = ""

    @property
    def data(self) -> bytes:
        """All pieces in one."""
        return b"".join(self.pieces)


PAUSE = None
Parcels = Iterator[list[Command] | None]
"""The commands of one group of jobs after the other. In between, `PAUSE` comes where a piece of the work is done."""


def parcels(made: Parcels) -> Iterator[list[Command]]:
    """The same without pauses."""
    return (commands for commands in made if commands is not PAUSE)


def bulk(value: bytes) -> bytes:
    """One RESP bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


class JobEncoder:
    """Encodes batches for one run. ``payloads`` has one compiled payload a job kind, in the order of ``jobs``.

    ``step`` is the distance between two sequence numbers: 1, or the number of shards.
    """

    def __init__(self, jobs: Sequence[Job], payloads: Sequence[Payload], run_id: str, step: int = 1) -> None:
        # Of several kinds or shards, each gets only some of the numbers.
        consecutive = len(jobs) == 1 and step == 1
        places = [Place(job.key, job.stream is not None, job.max_len) for job in jobs]
        self._places = list(dict.fromkeys(places))
        self._place_of = np.array([self._places.index(place) for place in places])
        self._kinds = [
            _Kind(job, payload, run_id, place.head if place.is_stream else b"", consecutive)
            for job, payload, place in zip(jobs, payloads, places, strict=True)
        ]
        self._single = [
            int(np.flatnonzero(self._place_of == index)[0]) if np.sum(self._place_of == index) == 1 else None
            for index in range(len(self._places))
        ]

    def encode(
        self,
        seq: Ints,
        due: Floats,
        kind: npt.NDArray[np.intp],
        ends: Sequence[int],
        walls: Sequence[float],
        phases: Iterable[str],
    ) -> Parcels:
        """The commands of each group of jobs: group i ends before job ``ends[i]`` and leaves at ``walls[i]``.

        Within a group, commands are by key, each key's jobs in due order. ``phases`` names each job's phase.
        """
        if len(self._places) == 1:
            yield from self._at(0, seq, due, kind, ends, walls, phases)
            return
        names = list(phases)
        place = self._place_of[kind]
        parts: list[Iterator[list[Command]]] = []
        for index in range(len(self._places)):
            chosen = np.flatnonzero(place == index)
            if len(chosen):
                some = (names[i] for i in chosen.tolist())
                cuts = np.searchsorted(chosen, ends).tolist()
                parts.append(parcels(self._at(index, seq[chosen], due[chosen], kind[chosen], cuts, walls, some)))
                yield PAUSE
        for groups in zip(*parts, strict=True):
            yield [command for commands in groups for command in commands]

    def _at(
        self,
        index: int,
        seq: Ints,
        due: Floats,
        kind: npt.NDArray[np.intp],
        ends: Sequence[int],
        walls: Sequence[float],
        phases: Iterable[str],
    ) -> Parcels:
        place, only = self._places[index], self._single[index]
        rows = None if only is None else self._kinds[only].rows
        if rows is not None and len(seq) >= FEWEST_ROWS:
            numbered = rows.numbered(seq)
            yield PAUSE
            stamped = rows.stamped(numbered, ends, walls)
            yield PAUSE
            yield from place.from_rows(stamped, ends, due)
            return
        jobs = zip(seq.tolist(), kind.tolist(), phases, strict=False)
        start = 0
        for end, wall in zip(ends, walls, strict=True):
            made = [self._kinds[k].encode(s, wall, phase) for s, k, phase in islice(jobs, end - start)]
            yield place.from_values(made, due[start:end])
            start = end


@dataclass(frozen=True, slots=True)
class Place:
    """A key in Redis, and how jobs are put there."""

    key: str
    is_stream: bool
    max_len: int | None
    heads: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def head(self) -> bytes:
        """What stands before the value of an XADD."""
        words = [b"XADD", self.key.encode()]
        if self.max_len is not None:
            words += [b"MAXLEN", b"=", b"%d" % self.max_len]
        words += [b"*", b"job"]
        return b"*%d\r\n" % (len(words) + 1) + b"".join(map(bulk, words))

    def from_values(self, values: list[bytes], due: Floats) -> list[Command]:
        """The commands of a group of jobs made one by one."""
        size = len(values) if self.is_stream else MOST_JOBS_A_COMMAND
        heads = repeat(self.head if self.is_stream else b"")
        return [
            self._command(
                [b"".join([h + bulk(v) for h, v in zip(heads, values[at : at + size], strict=False)])],
                due[at : at + size],
            )
            for at in range(0, len(values), size or 1)
        ]

    def from_rows(self, matrices: Sequence[Bytes], ends: Sequence[int], due: Floats) -> Iterator[list[Command]]:
        """The commands of groups of jobs made many at once; the rows of a stream have its head in them."""
        if len(ends) == 1:
            yield self._from_whole(matrices, due)
            return
        text = b"".join([rows.data for rows in matrices])
        ends_of_rows = _ends_of_rows(matrices)
        start = 0
        for end in ends:
            if start < end <= start + MOST_JOBS_A_COMMAND and not self.is_stream:
                # As nearly always, and at every departure: what follows would do the same, more slowly.
                pieces = (self.lpush(end - start), text[ends_of_rows[start] : ends_of_rows[end]])
                yield [Command(pieces, due[start:end], True, self.key)]
                start = end
                continue
            commands = []
            while start < end:
                stop = end if self.is_stream else min(end, start + MOST_JOBS_A_COMMAND)
                part = text[ends_of_rows[start] : ends_of_rows[stop]]
                whole = (part,) if self.is_stream else (self.lpush(stop - start), part)
                commands.append(Command(whole, due[start:stop], not self.is_stream, self.key))
                start = stop
            yield commands

    def _from_whole(self, matrices: Sequence[Bytes], due: Floats) -> list[Command]:
        # One large group: the rows are sent from where they are.
        if self.is_stream or len(due) <= MOST_JOBS_A_COMMAND:
            return [self._command([_bytes_of(rows) for rows in matrices], due)]
        commands: list[Command] = []
        pieces: list[Piece] = []
        start, room = 0, MOST_JOBS_A_COMMAND
        for rows in matrices:
            while len(rows) >= room:
                pieces.append(_bytes_of(rows[:room]))
                commands.append(self._command(pieces, due[start : start + MOST_JOBS_A_COMMAND]))
                rows, pieces = rows[room:], []
                start, room = start + MOST_JOBS_A_COMMAND, MOST_JOBS_A_COMMAND
            if len(rows):
                pieces.append(_bytes_of(rows))
                room -= len(rows)
        if pieces:
            commands.append(self._command(pieces, due[start:]))
        return commands

    def _command(self, pieces: Sequence[Piece], due: Floats) -> Command:
        head = () if self.is_stream else (self.lpush(len(due)),)
        return Command((*head, *pieces), due, not self.is_stream, self.key)

    def lpush(self, jobs: int) -> bytes:
        """What stands before the values of an LPUSH; there are few of them, and they are asked for often."""
        made = self.heads.get(jobs)
        if made is None:
            made = self.heads[jobs] = b"*%d\r\n$5\r\nLPUSH\r\n" % (jobs + 2) + bulk(self.key.encode())
        return made


def _bytes_of(rows: Bytes) -> memoryview:
    """The bytes of whole rows one behind the other, where they are."""
    return rows.data.cast("B")


def _ends_of_rows(matrices: Sequence[Bytes]) -> Sequence[int]:
    """Where each row ends in the text of all of them, after a 0 for where the first begins."""
    if len(matrices) == 1:
        count, length = matrices[0].shape
        return range(0, count * length + 1, length)
    lengths = np.repeat([rows.shape[1] for rows in matrices], [len(rows) for rows in matrices])
    return [0, *np.cumsum(lengths).tolist()]


class _Kind:
    """One kind of job: the constant parts of its envelope made once. Without ``rows``, jobs are made one by one."""

    def __init__(self, job: Job, payload: Payload, run_id: str, head: bytes, consecutive: bool) -> None:
        self._payload = payload.text if job.encoding == "raw" else payload.json
        self._raw = job.encoding == "raw"
        name, run = json.dumps(job.name), json.dumps(run_id)
        self._before = f'{{"id":"{run_id}-'
        self._middle = f'","run":{run},"seq":'
        self._named = f',"job":{name},"priority":{job.priority},"enqueued_at":'
        self._after = f',"timeout":{json.dumps(job.timeout)},"retry":{job.retry},"payload":'
        layout = payload.text_layout if self._raw else payload.json_layout
        self.rows: RowWriter | None = None
        if layout is not None:
            number = Slot("seq")
            envelope = (self._before, number, self._middle, number, self._named, None, self._after, *layout, "}")
            self.rows = RowWriter(layout if self._raw else envelope, head, consecutive=consecutive)

    def encode(self, seq: int, wall: float, phase: str) -> bytes:
        payload = self._payload(seq, wall, phase)
        if self._raw:
            return payload.encode()
        return f"{self._before}{seq}{self._middle}{seq}{self._named}{wall:.6f}{self._after}{payload}}}".encode()
