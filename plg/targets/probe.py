"""How many jobs wait and how old the oldest is, asked of the server over a connection of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from plg.queues.base import Change, Crew, Question, Sight, Survey
from plg.queues.use import QueueInUse
from plg.targets.address import Address
from plg.targets.base import Depth, TargetError
from plg.targets.client import Client
from plg.targets.faults import explain, own_words

_CONNECT_TIMEOUT = 0.4
_ANSWER_TIMEOUT = 0.5


class RedisProbe:
    """`plg.targets.base.QueueProbe` for queues of any format: each is asked by its survey.

    A look takes as many round trips as the longest survey has steps: one for lists, two more for streams that hold
    entries.
    """

    def __init__(
        self, address: Address, queues: Sequence[QueueInUse], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = Client(address, connect_timeout=_CONNECT_TIMEOUT, answer_timeout=_ANSWER_TIMEOUT)
        self._surveys = [queue.survey() for queue in queues]
        self._for_age = frozenset().union(*(survey.for_age for survey in self._surveys))
        self._clock = clock
        self._aside = True
        self._censuses = [census for queue in queues if (census := queue.census()) is not None]
        self._counts_all = len(self._censuses) == len(queues)
        self._every: float | None = None
        self._counted = -math.inf

    def count_workers(self, every: float) -> None:
        """See `plg.targets.base.QueueProbe.count_workers`. Where one format of several cannot tell, none is asked."""
        if self._counts_all and self._censuses:
            self._every = every

    def look(self) -> Depth:
        """See `plg.targets.base.QueueProbe.look`; a server that is paused costs at most a second."""
        self._client.limit(_CONNECT_TIMEOUT + _ANSWER_TIMEOUT)
        sights: list[Sight] = []
        crews: list[Crew] = []
        surveys = [*self._surveys, *self._due_censuses()]
        while surveys:
            answers = self._ask(surveys)
            now = self._clock()
            found = [
                survey.read([answers.get(question) for question in (*survey.questions, *survey.aside)], now)
                for survey in surveys
            ]
            sights += [each for each in found if isinstance(each, Sight)]
            crews += [each for each in found if isinstance(each, Crew)]
            surveys = [each for each in found if isinstance(each, Survey)]
        return replace(together(map(_depth, sights)), workers=_all_of(crew.names for crew in crews))

    def _due_censuses(self) -> list[Survey]:
        """Those of all queues, where it is time."""
        now = time.monotonic()
        if self._every is None or now - self._counted < self._every:
            return []
        self._counted = now
        return self._censuses

    def rehearse(self) -> TargetError | None:
        """See `plg.targets.base.QueueProbe.rehearse`."""
        questions = [question for survey in self._surveys for question in (*survey.questions, *survey.later)]
        denied = None
        for question, answer in zip(questions, self._client.ask(questions) if questions else (), strict=True):
            if isinstance(answer, Exception) and _is_denied(answer):
                if question[0] not in self._for_age:
                    raise self._explained(answer)
                denied = denied or self._explained(answer)
        aside = [question for survey in self._surveys for question in survey.aside]
        self._aside = not aside or self._client.ask_gently(aside) is not None
        census = [question for survey in self._censuses for question in survey.aside]
        if self._every is not None and self._client.ask_gently(census) is None:
            self._every = None
        return denied

    def _explained(self, answer: Exception) -> TargetError:
        return explain(answer, f"{self._client.address.shown}, looking at the queues,")

    def _ask(self, surveys: Sequence[Survey]) -> dict[Question, Any]:
        """The answer to each question, also where several surveys ask it."""
        needed = dict.fromkeys(question for survey in surveys for question in survey.questions)
        aside = [question for survey in surveys for question in survey.aside if self._aside]
        questions = list(dict.fromkeys((*needed, *aside)))
        answers = dict(zip(questions, self._client.ask(questions) if questions else [], strict=True))
        for question in needed:
            answer = answers[question]
            if isinstance(answer, Exception) and not _is_absence(answer):
                if question[0] in self._for_age and _is_denied(answer):
                    continue
                raise self._explained(answer)
        return answers

    def close(self) -> None:
        self._client.close()


def _is_absence(answer: Exception) -> bool:
    return "no such key" in str(answer).lower()


def _is_denied(answer: Exception) -> bool:
    words = own_words(answer).lower()
    return words.startswith("noperm") or "no permissions" in words or "unknown " in words


def together(looks: Iterable[Depth]) -> Depth:
    """The sum of what waits, and the greatest age; that is not known where any of the jobs that may be the oldest does
    not tell its own, but what the others tell is the least it can be."""
    every = list(looks)
    counts: dict[str, Any] = {
        "in_flight": _whole(look.in_flight for look in every),
        "delayed": _whole(look.delayed for look in every),
        "dead": _sum(look.dead for look in every),
        "workers": _all_of(look.workers for look in every),
        "change": Change.together([look.change for look in every]),
    }
    seen = [look for look in every if look.waiting]
    waiting, untaken = sum(look.waiting for look in seen), None
    if any(look.untaken is not None for look in seen):
        untaken = sum(look.not_taken for look in seen)
    least = max((look.at_least if look.oldest_age is None else look.oldest_age for look in seen), default=0.0)
    if any(look.oldest_age is None for look in seen):
        return Depth(waiting, None, least, untaken, **counts)
    return Depth(waiting, least, untaken=untaken, **counts)


def _depth(sight: Sight) -> Depth:
    return Depth(
        sight.waiting, sight.oldest_age, untaken=sight.untaken, in_flight=sight.in_flight, dead=sight.dead,
        change=sight.change, delayed=sight.delayed,
    )  # fmt: skip


def _whole(counts: Iterable[int | None]) -> int | None:
    """The sum of all; None where one is not known."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if known and len(known) == len(found) else None


def _all_of(names: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """Those of all, each once; None where some are not known, or nobody was asked."""
    found = list(names)
    known = [each for each in found if each is not None]
    return frozenset[str]().union(*known) if known and len(known) == len(found) else None


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum of what is known; None where nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
