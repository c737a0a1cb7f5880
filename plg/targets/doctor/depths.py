"""How much waits in each queue that was found: all of them asked at once, in as many steps as the longest needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.base import Crew, Question, Sight, Survey
from plg.queues.use import QueueInUse
from plg.targets.asked import Placed
from plg.targets.doctor.diagnosis import FoundQueue
from plg.targets.doctor.reader import Reader, words_of

_KEYLESS = frozenset({"TIME", "INFO", "PING"})


def look_into(reader: Reader, queues: Sequence[QueueInUse]) -> list[FoundQueue]:
    """What each queue holds now, and who works at it; one that cannot be read says why."""
    sights = _answered(reader, queues, {at: queue.survey() for at, queue in enumerate(queues)})
    censuses = {at: census for at, queue in enumerate(queues) if (census := queue.census()) is not None}
    crews = _answered(reader, queues, censuses)
    return [_found(queue, sights[at], crews.get(at)) for at, queue in enumerate(queues)]


def _found(queue: QueueInUse, sight: Sight | Crew | str, crew: Sight | Crew | str | None) -> FoundQueue:
    names = crew.names if isinstance(crew, Crew) else None
    workers = None if names is None else len(names)
    if isinstance(sight, Sight):
        return FoundQueue(queue, sight, workers=workers)
    return FoundQueue(queue, workers=workers, why=sight if isinstance(sight, str) else "")


def _answered(
    reader: Reader, queues: Sequence[QueueInUse], surveys: Mapping[int, Survey]
) -> dict[int, Sight | Crew | str]:
    """What the surveys of some queues, by their place, come to; why not, where one is refused what it needs."""
    found: dict[int, Sight | Crew | str] = {}
    while surveys:
        placed = {at: _placed(reader, queues[at], survey) for at, survey in surveys.items()}
        every = list(dict.fromkeys(question for own in placed.values() for question in own))
        answers = dict(zip(every, reader.ask(every), strict=True))
        further: dict[int, Survey] = {}
        for at, survey in surveys.items():
            given = [answers[question] for question in placed[at]]
            why = _refusal(survey, given)
            read = survey.read(given, time.time()) if why is None else why
            if isinstance(read, Survey):
                further[at] = read
            else:
                found[at] = read
        surveys = further
    return found


def without_groups(reader: Reader, found: Sequence[FoundQueue]) -> list[FoundQueue]:
    """Those of the streams that no consumer group reads."""
    streams = [each for each in found if each.sight and each.queue.keys[each.queue.key] == "stream"]
    answers = reader.ask([(("XINFO", "GROUPS", each.queue.key), "") for each in streams])
    return [each for each, answer in zip(streams, answers, strict=True) if answer == []]


def newest(reader: Reader, found: Sequence[FoundQueue]) -> Mapping[str, Sequence[bytes]]:
    """The jobs at both ends of each list that holds any, where they are of a bearable size."""
    lists = [each.queue.key for each in found if each.sight and each.sight.waiting]
    lists = [key for key, kind in _kinds(found).items() if key in lists and kind == "list"]
    used = reader.ask([(("MEMORY", "USAGE", key, "SAMPLES", 1), "") for key in lists])
    small = [key for key, size in zip(lists, used, strict=True) if not isinstance(size, int) or size < _LARGEST]
    ends = reader.ask([(("LRANGE", key, end, end), "") for key in small for end in (0, -1)])
    return {
        key: [value for answer in ends[2 * at : 2 * at + 2] if isinstance(answer, list) for value in answer]
        for at, key in enumerate(small)
    }


_LARGEST = 64 << 20
"""Bytes of a list beyond which its jobs may be too large to be fetched for the sake of a look."""


def _kinds(found: Sequence[FoundQueue]) -> dict[str, str]:
    return {each.queue.key: each.queue.keys[each.queue.key] for each in found}


def _placed(reader: Reader, queue: QueueInUse, survey: Survey) -> list[Placed]:
    home = reader.home(queue.key)
    questions: list[Question] = [*survey.questions, *survey.aside]
    return [(question, home if question[0] in _KEYLESS else "") for question in questions]


def _refusal(survey: Survey, answers: Sequence[Any]) -> str | None:
    """Why the answers to the questions tell nothing; None where they do."""
    for question, answer in zip(survey.questions, answers, strict=False):
        if not isinstance(answer, Exception) or question[0] in survey.for_age:
            continue
        words = words_of(answer)
        if "no such key" not in words.lower():
            return words
    return None
