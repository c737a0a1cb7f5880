"""Jobs as bytes on the wire: LPUSH for lists (many jobs a command), XADD for streams (one each)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from plg.language.templates import Payload, Slot
from plg.scenario import Job
from plg.targets.rows import Bytes, RowWriter

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST_JOBS_A_COMMAND = 512
"""LPUSH takes any number of values; beyond this the gain is gone and one refusal would cost ever more jobs."""

FEWEST_ROWS = 6
"""Below so many jobs, making them one by one is quicker than setting up a matrix."""


class Command(NamedTuple):
    """Encoded bytes for one ``key`` and the due times of their jobs.

    ``single``: one answer stands for all of them; else there is one each.
    """

    data: bytes
    due: Floats
    single: bool
    key: str = ""


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
        places = [_Place(job.key, job.stream is not None, job.max_len) for job in jobs]
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
        self, seq: Ints, due: Floats, kind: npt.NDArray[np.intp], wall: float, phases: Iterable[str]
    ) -> list[Command]:
        """The commands for jobs that leave at ``wall``, grouped by key, each key's jobs in due order."""
        if len(self._places) == 1:
            return self._at(0, seq, due, kind, wall, phases)
        names = list(phases)
        place = self._place_of[kind]
        commands: list[Command] = []
        for index in range(len(self._places)):
            chosen = np.flatnonzero(place == index)
            if len(chosen):
                some = (names[i] for i in chosen.tolist())
                commands += self._at(index, seq[chosen], due[chosen], kind[chosen], wall, some)
        return commands

    def _at(
        self, index: int, seq: Ints, due: Floats, kind: npt.NDArray[np.intp], wall: float, phases: Iterable[str]
    ) -> list[Command]:
        place, only = self._places[index], self._single[index]
        rows = None if only is None else self._kinds[only].rows
        if rows is not None and len(seq) >= FEWEST_ROWS:
            return place.from_rows(rows.write(seq, wall), due)
        values = [
            self._kinds[k].encode(s, wall, phase)
            for s, k, phase in zip(seq.tolist(), kind.tolist(), phases, strict=False)
        ]
        return place.from_values(values, due)


@dataclass(frozen=True, slots=True)
class _Place:
    """A key in Redis, and how jobs are put there."""

    key: str
    is_stream: bool
    max_len: int | None

    @property
    def head(self) -> bytes:
        """What stands before the value of an XADD."""
        words = [b"XADD", self.key.encode()]
        if self.max_len is not None:
            words += [b"MAXLEN", b"=", b"%d" % self.max_len]
        words += [b"*", b"job"]
        return b"*%d\r\n" % (len(words) + 1) + b"".join(map(bulk, words))

    def _lpush(self, jobs: int) -> bytes:
        return b"*%d\r\n$5\r\nLPUSH\r\n" % (jobs + 2) + bulk(self.key.encode())

    def from_values(self, values: list[bytes], due: Floats) -> list[Command]:
        if self.is_stream:
            head = self.head
            return [Command(b"".join(head + bulk(value) for value in values), due, single=False, key=self.key)]
        commands = []
        for at in range(0, len(values), MOST_JOBS_A_COMMAND):
            part = values[at : at + MOST_JOBS_A_COMMAND]
            data = self._lpush(len(part)) + b"".join(map(bulk, part))
            commands.append(Command(data, due[at : at + len(part)], single=True, key=self.key))
        return commands

    def from_rows(self, matrices: list[Bytes], due: Floats) -> list[Command]:
        commands, start = [], 0
        for rows in matrices:
            size = len(rows) if self.is_stream else MOST_JOBS_A_COMMAND
            for at in range(0, len(rows), size):
                part = rows[at : at + size]
                head = b"" if self.is_stream else self._lpush(len(part))
                times = due[start + at : start + at + len(part)]
                commands.append(Command(head + part.tobytes(), times, not self.is_stream, self.key))
            start += len(rows)
        return commands


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
