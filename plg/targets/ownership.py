"""Whether a queue belongs to a framework whose workers jobs of another form would harm: looked at before a run.

A few commands a queue and framework, none of which writes, and never more than the two ends of what waits. Where the
look ends before the end of what there is to see, a remark says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from plg.dataclass import dataclass
from plg.queues import registry as formats
from plg.queues.base import Question
from plg.queues.owners.base import Inquiry, Mark, Owner, Spelling, another
from plg.queues.owners.registry import OWNERS
from plg.queues.use import QueueInUse
from plg.targets.asked import Asked, Placed
from plg.targets.base import TargetError
from plg.targets.faults import own_words
from plg.units import format_duration

_A_BATCH = 500
"""Questions in one round trip."""
_LARGEST = 1 << 20
"""Bytes of a job beyond which it is not fetched for the sake of a look."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Belonging:
    """The framework that a queue belongs to, ``how`` it was recognised, and how a scenario writes it in its form."""

    owner: Owner
    how: str
    spelling: Spelling | None


def heed_owners(
    queues: Sequence[QueueInUse], asked: Asked | None, shown: str, *, force: bool, patience: float
) -> tuple[str, ...]:
    """Remarks on queues that belong to a framework or could not be looked at.

    Where nobody is ``asked`` only the names of the queues are looked at. A look at marks that has not come to its end
    within ``patience`` (s) ends there, with a remark. Raises `TargetError` for a queue that belongs to a framework,
    unless it is to be written by ``force``.
    """
    look = Look(asked, patience)
    found = look.at(queues)
    if found and not force:
        told = [_refusal(key, each, shown) for key, each in list(found.items())[:_NAMED]]
        more = [f"and so are {len(found) - _NAMED} more queues"] if len(found) > _NAMED else []
        raise TargetError("refused", "; ".join([*told, *more]))
    forced = [
        f"{key!r} belongs to {each.owner.name} ({each.how}) and is written to all the same: {each.owner.harm}"
        + _PREFETCHED * each.owner.prefetches
        for key, each in found.items()
    ]
    return (*forced, *look.unseen([queue.key for queue in queues if queue.key not in found]))


_PREFETCHED = (
    "; its workers prefetch jobs, long before they do them, so queue_depth, queue_age and drain_time tell when jobs "
    "were taken"
)


def _named(keys: Sequence[str]) -> str:
    more = len(keys) - _NAMED
    return ", ".join(map(repr, keys[:_NAMED])) + f" and {more} more" * (more > 0)


def _refusal(key: str, found: Belonging, shown: str) -> str:
    spelled = found.spelling
    own = f", write {spelled}" if spelled and spelled.format in formats.names() else ""
    return (
        f"{key!r} at {shown} is a queue of {found.owner.name} ({found.how}): {found.owner.harm} "
        f"(name another queue{own}, or send there all the same with --force)"
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """What is to be asked next on behalf of one queue and framework; at ``node``, or where its keys are."""

    queue: QueueInUse
    owner: Owner
    inquiry: Inquiry
    node: str = ""


class Look:
    """One look at some queues, and what could not be seen."""

    def __init__(self, asked: Asked | None, patience: float) -> None:
        self._asked, self._patience = asked, patience
        self._refused: str | None = None
        self._large: list[str] = []
        self._unseen: dict[tuple[str, str], list[str]] = {}

    def at(self, queues: Sequence[QueueInUse]) -> dict[str, Belonging]:
        """The queues that belong to a framework, other than that in whose form they are written to."""
        names: dict[str, Belonging] = {}
        for queue in queues:
            for owner in _others(queue):
                if how := owner.by_key(queue.key):
                    names.setdefault(queue.key, _belonging(queue, owner, how))
        if self._asked is None:
            return names
        # What stands in Redis says more than a name, and a mark more than a job: it shows a prefix, say.
        return names | self._by_values(queues) | self._by_marks(queues)

    def unseen(self, keys: Sequence[str]) -> tuple[str, ...]:
        """What to say of queues that may belong to a framework for all that was seen."""
        remarks = []
        if self._refused is not None and keys:
            remarks.append(f"whether {_named(keys)} belongs to a queue framework could not be seen: {self._refused}")
        for (name, why), unseen in self._unseen.items():
            if own := [key for key in unseen if key in keys]:
                remarks.append(f"whether {_named(own)} belongs to {name} could not be seen: {why}")
        for key in self._large:
            remarks.append(f"what waits in {key!r} is too large to see whether it belongs to a queue framework")
        return tuple(remarks)

    def _answers(self, questions: Sequence[Placed], *, needed: bool = True) -> list[Any]:
        """What was refused or is not there is None; refusals are noted where the answers are ``needed``.

        What several ask is asked once.
        """
        assert self._asked is not None, "only where there is somebody to ask"
        told: dict[Placed, Any] = {}
        each = list(dict.fromkeys(questions))
        for at in range(0, len(each), _A_BATCH):
            batch = each[at : at + _A_BATCH]
            for question, answer in zip(batch, self._asked.ask(batch), strict=True):
                told[question] = None if isinstance(answer, Exception) else answer
                if isinstance(answer, Exception) and needed:
                    self._note_refusal(own_words(answer))
        return [told[question] for question in questions]

    def _note_refusal(self, words: str) -> None:
        if not words.startswith("WRONGTYPE") and "no such key" not in words.lower():
            self._refused = self._refused or words

    def _ask(self, questions: Sequence[Question], *, needed: bool = True) -> list[Any]:
        return self._answers([(question, "") for question in questions], needed=needed)

    def _by_marks(self, queues: Sequence[QueueInUse]) -> dict[str, Belonging]:
        found: dict[str, Belonging] = {}
        until = time.monotonic() + self._patience
        steps = [
            step
            for queue in queues
            for owner in _others(queue)
            if (inquiry := owner.inquiry(queue.key, queue.keys[queue.key]))
            for step in self._steps(queue, owner, inquiry)
        ]
        while steps and time.monotonic() < until:
            answers = iter(self._answers([(each, step.node) for step in steps for each in step.inquiry.questions]))
            further: list[_Step] = []
            for step in steps:
                finding = step.inquiry.read([next(answers) for _ in step.inquiry.questions])
                if isinstance(finding, str | Mark):
                    found.setdefault(step.queue.key, _belonging(step.queue, step.owner, finding))
                    continue
                for part in finding if isinstance(finding, tuple) else (finding,):
                    if isinstance(part, Inquiry):
                        further += self._steps(step.queue, step.owner, part, step.node)
                    elif part is not None:
                        self._note_unseen(step, part.why)
            steps = [step for step in further if step.queue.key not in found]
        for step in steps:
            self._note_unseen(step, f"the look has not come to its end within {format_duration(self._patience)}")
        return found

    def _steps(self, queue: QueueInUse, owner: Owner, inquiry: Inquiry, node: str = "") -> list[_Step]:
        """One step, or one for each node where all are to be asked and none is meant yet."""
        assert self._asked is not None, "only where there is somebody to ask"
        if not inquiry.everywhere:
            return [_Step(queue, owner, inquiry)]
        return [_Step(queue, owner, inquiry, each) for each in ([node] if node else self._asked.nodes)]

    def _note_unseen(self, step: _Step, why: str) -> None:
        keys = self._unseen.setdefault((step.owner.name, why), [])
        if step.queue.key not in keys:
            keys.append(step.queue.key)

    def _by_values(self, queues: Sequence[QueueInUse]) -> dict[str, Belonging]:
        found: dict[str, Belonging] = {}
        plain = [queue for queue in queues if queue.keys[queue.key] in ("list", "stream")]
        sizes = self._ask([(_SIZE[queue.keys[queue.key]], queue.key) for queue in plain])
        usage = self._ask([("MEMORY", "USAGE", queue.key, "SAMPLES", 1) for queue in plain], needed=False)
        filled = []
        for queue, size, used in zip(plain, sizes, usage, strict=True):
            if isinstance(used, int) and size and used / size > _LARGEST:
                self._large.append(queue.key)
            elif size:
                filled.append(queue)
        answers = iter(self._ask([question for queue in filled for question in _ends(queue)]))
        for queue in filled:
            values = [value for _ in range(2) for value in _values(next(answers))]
            for owner in _others(queue):
                how = next((how for value in values if (how := owner.by_value(value))), None)
                if how is not None:
                    found.setdefault(queue.key, _belonging(queue, owner, how))
            own = next((owner for owner in OWNERS if queue.format.name in owner.kinds), None)
            if own and any(map(own.alien, values)):
                found.setdefault(queue.key, Belonging(another(own), strange(own), None))
        return found


_SIZE = {"list": "LLEN", "stream": "XLEN"}


def _others(queue: QueueInUse) -> list[Owner]:
    return [owner for owner in OWNERS if queue.format.name not in owner.kinds]


def _belonging(queue: QueueInUse, owner: Owner, found: str | Mark) -> Belonging:
    if isinstance(found, Mark):
        return Belonging(owner, found.how, found.spelling)
    return Belonging(owner, found, owner.spelling(queue.key, queue.keys[queue.key]))


def strange(owner: Owner) -> str:
    """How a queue is told to hold jobs of somebody else."""
    return f"a job waits in it that is none of {owner.name}'s"


def _ends(queue: QueueInUse) -> tuple[Question, Question]:
    key = queue.key
    if queue.keys[key] == "list":
        return ("LRANGE", key, 0, 0), ("LRANGE", key, -1, -1)
    return ("XRANGE", key, "-", "+", "COUNT", 1), ("XREVRANGE", key, "+", "-", "COUNT", 1)


def _values(answer: Any) -> list[bytes]:
    """The elements of a list or the fields of a stream's entries in an answer."""
    if isinstance(answer, bytes):
        return [answer]
    return [value for each in answer for value in _values(each)] if isinstance(answer, list) else []
