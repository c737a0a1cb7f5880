"""How many jobs wait and how old the oldest is, asked of the server over a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from plg.queues.base import Change, Question, Sight, Survey
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

    def look(self) -> Depth:
        """See `plg.targets.base.QueueProbe.look`; a server that is paused costs at most a second."""
        self._client.limit(_CONNECT_TIMEOUT + _ANSWER_TIMEOUT)
        seen: list[Sight] = []
        surveys = self._surveys
        while surveys:
            answers = self._ask(surveys)
            now = self._clock()
            found = [
                survey.read([answers.get(question) for question in (*survey.questions, *survey.aside)], now)
                for survey in surveys
            ]
            seen += [each for each in found if isinstance(each, Sight)]
            surveys = [each for each in found if isinstance(each, Survey)]
        return together(
            Depth(
                sight.waiting,
                sight.oldest_age,
                untaken=sight.untaken,
                in_flight=sight.in_flight,
                dead=sight.dead,
                change=sight.change,
            )
            for sight in seen
        )

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
    in_flight, dead = _sum(look.in_flight for look in every), _sum(look.dead for look in every)
    seen = [look for look in every if look.waiting]
    waiting, untaken = sum(look.waiting for look in seen), None
    if any(look.untaken is not None for look in seen):
        untaken = sum(look.not_taken for look in seen)
    least = max((look.at_least if look.oldest_age is None else look.oldest_age for look in seen), default=0.0)
    change = Change.together([look.change for look in every])
    if any(look.oldest_age is None for look in seen):
        return Depth(waiting, None, least, untaken, in_flight, dead, change)
    return Depth(waiting, least, untaken=untaken, in_flight=in_flight, dead=dead, change=change)


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum of what is known; None where nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
