"""Jobs as bytes on the wire: LPUSH for lists (many jobs a command), XADD for streams (one each)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plg.scenario import Job

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Payload = Callable[[int, float, str], str]
"""The payload of job ``seq`` at ``wall`` (s since the epoch) in a phase, as JSON text (for raw text: as it is)."""

MOST_JOBS_A_COMMAND = 512
"""LPUSH takes any number of values; beyond this the gain is gone and one refusal would cost ever more jobs."""


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """Encoded bytes and the due times of their jobs. ``single``: one answer stands for all of them; else one each."""

    data: bytes
    due: Floats
    single: bool


def bulk(value: bytes) -> bytes:
    """One RESP bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


class JobEncoder:
    """Encodes batches for one run. ``payloads`` has one renderer a job kind, in the order of ``jobs``."""

    def __init__(self, jobs: Sequence[Job], payloads: Sequence[Payload], run_id: str) -> None:
        self._kinds = [_Kind(job, payload, run_id) for job, payload in zip(jobs, payloads, strict=True)]
        places = [(job.key, job.stream is not None, job.max_len) for job in jobs]
        self._places = list(dict.fromkeys(places))
        self._place_of = np.array([self._places.index(place) for place in places])

    def encode(
        self, seq: Ints, due: Floats, kind: npt.NDArray[np.intp], wall: float, phases: Iterable[str]
    ) -> list[Command]:
        """The commands for jobs that leave at ``wall``, grouped by key, each key's jobs in due order."""
        values = [
            self._kinds[k].encode(s, wall, phase)
            for s, k, phase in zip(seq.tolist(), kind.tolist(), phases, strict=True)
        ]  # fmt: skip
        if len(self._places) == 1:
            return list(self._commands(0, values, due))
        commands: list[Command] = []
        place = self._place_of[kind]
        for index in range(len(self._places)):
            chosen = np.flatnonzero(place == index)
            if len(chosen):
                commands += self._commands(index, [values[i] for i in chosen.tolist()], due[chosen])
        return commands

    def _commands(self, index: int, values: list[bytes], due: Floats) -> list[Command]:
        key, is_stream, max_len = self._places[index]
        if is_stream:
            head = [b"XADD", key.encode()]
            if max_len is not None:
                head += [b"MAXLEN", b"=", b"%d" % max_len]
            head += [b"*", b"job"]
            start = b"*%d\r\n" % (len(head) + 1) + b"".join(map(bulk, head))
            return [Command(b"".join(start + bulk(value) for value in values), due, single=False)]
        commands = []
        for at in range(0, len(values), MOST_JOBS_A_COMMAND):
            part = values[at : at + MOST_JOBS_A_COMMAND]
            start = b"*%d\r\n$5\r\nLPUSH\r\n" % (len(part) + 2) + bulk(key.encode())
            commands.append(Command(start + b"".join(map(bulk, part)), due[at : at + len(part)], single=True))
        return commands


class _Kind:
    """One kind of job: the constant parts of its envelope made once."""

    def __init__(self, job: Job, payload: Payload, run_id: str) -> None:
        self._payload = payload
        self._raw = job.encoding == "raw"
        name, run = json.dumps(job.name), json.dumps(run_id)
        self._before = f'{{"id":"{run_id}-'
        self._middle = f'","run":{run},"seq":'
        self._named = f',"job":{name},"priority":{job.priority},"enqueued_at":'
        self._after = f',"timeout":{json.dumps(job.timeout)},"retry":{job.retry},"payload":'

    def encode(self, seq: int, wall: float, phase: str) -> bytes:
        payload = self._payload(seq, wall, phase)
        if self._raw:
            return payload.encode()
        return (
            f"{self._before}{seq}{self._middle}{seq}{self._named}{wall:.6f}{self._after}{payload}}}"
        ).encode()  # fmt: skip
