"""Whether a queue belongs to a framework whose workers jobs of another form would harm: looked at before a run.

A few commands a queue and framework, none of which writes, and never more than the two ends of what waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plg.queues import registry as formats
from plg.queues.base import Question
from plg.queues.owners.base import Inquiry, Owner
from plg.queues.owners.registry import OWNERS
from plg.queues.use import QueueInUse
from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import own_words

_A_BATCH = 500
"""Questions in one round trip."""
_LARGEST = 1 << 20
"""Bytes of a job beyond which it is not fetched for the sake of a look."""
_NAMED = 3

Ask = Callable[[Sequence[Question]], list[Any]]
"""Answers to questions in their order, errors as exceptions."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """The framework that a queue belongs to, and ``how`` it was recognised."""

    owner: Owner
    how: str


def heed_owners(queues: Sequence[QueueInUse], ask: Ask | None, shown: str, *, force: bool) -> tuple[str, ...]:
    """Remarks on queues that belong to a framework or could not be looked at.

    Without an ``ask`` only the names of the queues are looked at. Raises `TargetError` for a queue that belongs to a
    framework, unless it is to be written by ``force``.
    """
    look = _Look(ask)
    found = look.at(queues)
    if found and not force:
        raise TargetError("refused", "; ".join(_refusal(key, each, shown) for key, each in _first(found)))
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


def _first(found: dict[str, Belonging]) -> list[tuple[str, Belonging]]:
    return list(found.items())[:_NAMED]


def _refusal(key: str, found: Belonging, shown: str) -> str:
    spelled = found.owner.spelling(key)
    own = f', write queue {spelled[0]} "{spelled[1]}"' if spelled and spelled[0] in formats.names() else ""
    return (
        f"{key!r} at {shown} is a queue of {found.owner.name} ({found.how}): {found.owner.harm} "
        f"(name another queue{own}, or send there all the same with --force)"
    )


class _Look:
    """One look at some queues, and what the server would not tell."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._refused: str | None = None
        self._large: list[str] = []

    def at(self, queues: Sequence[QueueInUse]) -> dict[str, Belonging]:
        """The queues that belong to a framework, other than that in whose form they are written to."""
        names: dict[str, Belonging] = {}
        for queue in queues:
            for owner in _others(queue):
                if how := owner.by_key(queue.key):
                    names.setdefault(queue.key, Belonging(owner, how))
        if self._ask is None:
            return names
        # What stands in Redis says more than a name.
        return names | self._by_marks(queues) | self._by_values(queues)

    def unseen(self, keys: Sequence[str]) -> tuple[str, ...]:
        """What to say of queues that may belong to a framework for all that was seen."""
        remarks = []
        if self._refused is not None and keys:
            named = ", ".join(map(repr, keys[:_NAMED])) + (f" and {len(keys) - _NAMED} more" * (len(keys) > _NAMED))
            remarks.append(f"whether {named} belongs to a queue framework could not be seen: {self._refused}")
        for key in self._large:
            remarks.append(f"what waits in {key!r} is too large to see whether it belongs to a queue framework")
        return tuple(remarks)

    def _answers(self, questions: Sequence[Question], *, needed: bool = True) -> list[Any]:
        """What was refused or is not there is None; refusals are noted where the answers are ``needed``."""
        assert self._ask is not None, "only where there is somebody to ask"
        answers: list[Any] = []
        for at in range(0, len(questions), _A_BATCH):
            for answer in self._ask(questions[at : at + _A_BATCH]):
                if isinstance(answer, Exception):
                    words = own_words(answer)
                    if needed and not words.startswith("WRONGTYPE") and "no such key" not in words.lower():
                        self._refused = self._refused or words
                    answer = None
                answers.append(answer)
        return answers

    def _by_marks(self, queues: Sequence[QueueInUse]) -> dict[str, Belonging]:
        found: dict[str, Belonging] = {}
        open_: list[tuple[str, Owner, Inquiry]] = []
        for queue in queues:
            for owner in _others(queue):
                if inquiry := owner.inquiry(queue.key, queue.keys[queue.key]):
                    open_.append((queue.key, owner, inquiry))
        while open_:
            answers = iter(self._answers([question for *_, inquiry in open_ for question in inquiry.questions]))
            further: list[tuple[str, Owner, Inquiry]] = []
            for key, owner, inquiry in open_:
                result = inquiry.read([next(answers) for _ in inquiry.questions])
                if isinstance(result, Inquiry):
                    further.append((key, owner, result))
                elif result is not None:
                    found.setdefault(key, Belonging(owner, result))
            open_ = [each for each in further if each[0] not in found]
        return found

    def _by_values(self, queues: Sequence[QueueInUse]) -> dict[str, Belonging]:
        found: dict[str, Belonging] = {}
        plain = [queue for queue in queues if queue.keys[queue.key] in ("list", "stream")]
        sizes = self._answers([(_SIZE[queue.keys[queue.key]], queue.key) for queue in plain])
        usage = self._answers([("MEMORY", "USAGE", queue.key, "SAMPLES", 1) for queue in plain], needed=False)
        filled = []
        for queue, size, used in zip(plain, sizes, usage, strict=True):
            if isinstance(used, int) and size and used / size > _LARGEST:
                self._large.append(queue.key)
            elif size:
                filled.append(queue)
        answers = iter(self._answers([question for queue in filled for question in _ends(queue)]))
        for queue in filled:
            values = [value for _ in range(2) for value in _values(next(answers))]
            for owner in _others(queue):
                how = next((how for value in values if (how := owner.by_value(value))), None)
                if how is not None:
                    found.setdefault(queue.key, Belonging(owner, how))
        return found


_SIZE = {"list": "LLEN", "stream": "XLEN"}


def _others(queue: QueueInUse) -> list[Owner]:
    return [owner for owner in OWNERS if queue.format.name not in owner.kinds]


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


class Nodes:
    """Asks each question at the server that holds its key, one of several."""

    def __init__(self, address_of: Callable[[str], Address | None], client: Callable[[Address], Client]) -> None:
        self._address_of, self._client = address_of, client
        self._clients: dict[str, Client] = {}

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        """One round trip to each server that is concerned. What one of them does not answer is an exception."""
        answers: list[Any] = [TargetError("refused", "no node holds its key")] * len(questions)
        parts: dict[str, list[int]] = {}
        for at, question in enumerate(questions):
            address = self._address_of(_key(question))
            if address is not None:
                if address.shown not in self._clients:
                    self._clients[address.shown] = self._client(address)
                parts.setdefault(address.shown, []).append(at)
        for shown, places in parts.items():
            given = answers_of(self._clients[shown], [questions[at] for at in places])
            for at, answer in zip(places, given, strict=True):
                answers[at] = answer
        return answers

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def answers_of(client: Client, questions: Sequence[Question]) -> list[Any]:
    """The answers of one server; where it hangs up, that stands in the place of each. Raises `TargetError` where the
    time that opening may take is over."""
    answers = client.ask_gently(questions)
    if answers is None:
        return [TargetError("lost", "the server hangs up on such questions")] * len(questions)
    return answers


def _key(question: Question) -> str:
    key = question[2] if question[0] in ("MEMORY", "XINFO") else question[1]
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
