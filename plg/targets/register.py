"""The runs that a server knows of, so that what they left can be found, also after a crash of plg.

The sorted set ``plg:runs`` has a member for each run, or for each of its shards: JSON that says what `RunEntry` holds,
by the moment of its start. It is gone once the last of them is. Runs of more than thirty days ago, and all but the last
thousand, are dropped when another one begins.

While a run goes on, one of its connections bears its name: that ends with plg, however it ends.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plg.dataclass import dataclass
from plg.queues.base import Job, Queue
from plg.queues.registry import UnknownFormat
from plg.queues.use import QueueInUse, queues_of
from plg.targets.base import Target, TargetError
from plg.targets.client import Client
from plg.targets.faults import own_words
from plg.targets.routed import Routed
from plg.targets.tally import MOST_JOBS

if TYPE_CHECKING:
    from plg.targets.cleaning import Fresh

RUNS = "plg:runs"
_KEPT, _MOST = 30 * 86_400, 1000
"""Seconds for which a run is known, and how many are."""
_LATEST = 1e11
"""Seconds since the epoch that a date can be told of."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run: ``started`` and ``until`` are when it began and when it is over at the latest (s since the epoch);
    ``planned`` jobs of all shards; ``fresh`` is what was not there before it."""

    run: str
    scenario: str
    started: float
    until: float
    planned: int
    jobs: tuple[Job, ...]
    fresh: tuple[Fresh, ...] = ()

    @property
    def queues(self) -> tuple[QueueInUse, ...]:
        return queues_of(self.jobs)

    def text(self) -> bytes:
        """As the member of the set."""
        document = {
            "version": 1, "run": self.run, "scenario": self.scenario, "started": self.started, "until": self.until,
            "planned": self.planned, "fresh": self.fresh, "jobs": [_job_document(job) for job in self.jobs],
        }  # fmt: skip
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    @staticmethod
    def read(member: bytes) -> RunEntry | None:
        """From a member of the set; None where it is none that this version of plg understands.

        Anybody may write there: an entry counts only where everything that is to be done with it can be.
        """
        try:
            told = json.loads(member)
            fresh = tuple((_text(key), None if one is None else _text(one)) for key, one in told["fresh"])
            entry = RunEntry(
                _text(told["run"]), _text(told["scenario"]), float(told["started"]), float(told["until"]),
                int(told["planned"]), tuple(map(_job_in, told["jobs"])), fresh,
            )  # fmt: skip
            with suppress(UnknownFormat):  # that is said where it is to be cleaned
                for queue in entry.queues:
                    queue.traces(entry.run)
            known = entry.jobs and 0 <= entry.started <= _LATEST and 0 <= entry.until <= _LATEST
            return entry if known and 0 <= entry.planned <= MOST_JOBS else None
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
            return None


def _job_document(job: Job) -> dict[str, Any]:
    """What of a job tells where it lies and how it is called there."""
    queue = {"kind": job.queue.kind, "name": job.queue.name, **job.queue.settings}
    return {"name": job.name, "call": job.call, "encoding": job.encoding, "queue": queue}


def _job_in(told: dict[str, Any]) -> Job:
    queue = dict(told["queue"])
    kind, queue_name, call = _text(queue.pop("kind")), _text(queue.pop("name")), told["call"]
    if not all(isinstance(each, str | int) for each in queue.values()):
        raise TypeError("a setting of a queue is a text or a number")
    name = _text(told["name"])
    raw = told["encoding"] == "raw"
    return Job(name, Queue(kind, queue_name, queue), call=call and _text(call), encoding="raw" if raw else "json")


def _text(value: Any) -> str:
    """A text that can be written to a server. Raises `ValueError` or `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    value.encode()
    return value


class Registration:
    """A run as long as it goes on: its place in the register, and the connection that bears its name."""

    def __init__(self, target: Target, entry: RunEntry) -> None:
        self._routed = Routed(target)
        self.entry = entry
        self._written = False
        self.begun = False
        """Whether jobs may have been sent."""

    def enter(self) -> tuple[str, ...]:
        """Write down the run, before it has written anything else; remarks where that is not possible."""
        try:
            self.entry = replace(self.entry, fresh=_missing(self._routed, self.entry))
            oldest = self.entry.started - _KEPT
            commands = (
                ("CLIENT", "SETNAME", _name(self.entry.run)),
                ("ZADD", RUNS, f"{self.entry.started:.3f}", self.entry.text()),
                ("ZREMRANGEBYSCORE", RUNS, "-inf", f"({oldest:.0f}"),
                ("ZREMRANGEBYRANK", RUNS, 0, -_MOST - 1),
                ("EXPIRE", RUNS, _KEPT),
            )
            _, added, *_ = self._routed.client(RUNS).ask(commands)
        except TargetError as error:
            return (_unknown(error),)
        if isinstance(added, Exception):
            return (_unknown(added),)
        self._written = True
        return ()

    @property
    def known(self) -> Known:
        """The run as the target knows of it."""
        return Known(self.entry, (self.entry.text(),) if self._written else ())

    def leave(self, *, sent: int) -> None:
        """The run is over; where nothing of it can be left, it need not be known any more."""
        told = [queue.traces(self.entry.run) for queue in self.entry.queues]
        found = [traces for traces in told if traces is not None]
        only_lists = not any(traces.own or any(place.kind != "list" for place in traces.places) for traces in found)
        if not self._written or (sent and not (only_lists and len(found) == len(told))):
            return
        lists = [place.key for traces in found for place in traces.places]
        if not sent:
            from plg.targets.cleaning import Cleaner  # few runs need it

            Cleaner(self._routed, found, 0).unmake(self.entry.fresh)
        elif any(answer != 0 for answer in self._routed.ask([("LLEN", key) for key in lists])):
            return
        self._routed.ask([("ZREM", RUNS, self.entry.text())])

    def close(self) -> None:
        """Give up the connection; a run that has not begun leaves as well."""
        if not self.begun:
            with suppress(TargetError):
                self.leave(sent=0)
        self._routed.close()


def _name(run: str) -> str:
    """Of the connection of a run: names have no blanks."""
    return f"plg:{re.sub(r'[^!-~]', '_', run)}"


def _unknown(error: Exception) -> str:
    words = own_words(error)
    return f"plg clean --list will not know of this run, and it is cleaned by its outcome.json: {RUNS}: {words}"


def _missing(routed: Routed, entry: RunEntry) -> tuple[Fresh, ...]:
    """What the run makes beside its jobs and is not there yet."""
    traces = [queue.traces(entry.run) for queue in entry.queues]
    made = dict.fromkeys((each.key, each.member) for told in traces if told is not None for each in told.made)
    questions = [("EXISTS", key) if member is None else ("SISMEMBER", key, member) for key, member in made]
    return tuple(each for each, there in zip(made, routed.ask(questions), strict=True) if there == 0)


@dataclass(frozen=True, slots=True)
class Known:
    """A run of the register with all its ``members``, one a shard."""

    entry: RunEntry
    members: tuple[bytes, ...]


def known_runs(routed: Routed) -> dict[str, Known]:
    """The runs of the register by their names, the last one first. Raises `TargetError`."""
    [members] = routed.told([("ZREVRANGE", RUNS, 0, -1)], f", {RUNS},")
    found: dict[str, Known] = {}
    for member in members:
        entry = RunEntry.read(member)
        if entry is None:
            continue
        others = found.get(entry.run)
        shards = [entry] if others is None else [others.entry, entry]
        found[entry.run] = Known(_together(shards), (*(others.members if others else ()), member))
    return found


def _together(shards: Sequence[RunEntry]) -> RunEntry:
    """What the shards of a run say of it."""
    return replace(
        shards[0],
        started=min(each.started for each in shards),
        until=max(each.until for each in shards),
        planned=max(each.planned for each in shards),
        fresh=tuple(dict.fromkeys(fresh for each in shards for fresh in each.fresh)),
    )


def forget(routed: Routed, known: Known) -> None:
    """Take a run out of the register."""
    routed.told([("ZREM", RUNS, *known.members)], f", {RUNS},")


@dataclass(frozen=True, slots=True)
class Going:
    """The names of the runs that go on; None where this user may not ask for the server's clients."""

    names: frozenset[str] | None
    idle: bool = False
    """Whether the server closes connections that are idle, so that a run may go on without one."""

    @staticmethod
    def seen(routed: Routed) -> Going:
        client: Client = routed.client(RUNS)
        answers = client.ask_gently([("CLIENT", "LIST"), ("CONFIG", "GET", "timeout")])
        clients, timeout = answers if answers is not None else (None, None)
        if not isinstance(clients, bytes):
            return Going(None)
        names = re.findall(rb"^.*? name=(plg:\S+)", clients, re.MULTILINE)
        idle = isinstance(timeout, list) and timeout[1:] not in ([], [b"0"])
        return Going(frozenset(name.decode() for name in names), idle)

    def has(self, entry: RunEntry) -> bool:
        """Whether the run goes on, or may: where the server does not tell, until it is over at the latest."""
        if self.names is not None and (_name(entry.run) in self.names or not self.idle):
            return _name(entry.run) in self.names
        return time.time() < entry.until

    @property
    def certain(self) -> bool:
        """Whether `has` is by what the server says, and not by the plan of the run."""
        return self.names is not None and not self.idle
