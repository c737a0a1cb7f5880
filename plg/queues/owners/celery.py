"""Celery, and whatever else sends through kombu: a list that bears the queue's own name.

An empty queue of no worker bears no mark: only ``celery``, the name that it has unless told otherwise, tells.

Each exchange has a set ``_kombu.binding.EXCHANGE`` of ``routing key, pattern, queue``; Celery gives a queue an exchange
of the same name unless told otherwise. All keys may have a prefix (``global_keyprefix``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.base import Question
from plg.queues.owners.base import Inquiry, Unmarked, default_name, fields, members, number, splits, text

_BINDING = "_kombu.binding."
_BETWEEN = "\x06\x16"
"""Between the parts of a binding, and between a queue's name and a priority."""
_OWN = re.compile(rf"{re.escape(_BINDING)}|^unacked(_index|_mutex)?$|^celeryev(\.|$)|\.celery\.pidbox$")
_READ = ("COUNT", 100)
_ROUNDS, _A_ROUND = 10, 1000
"""SCANs for exchanges of other names, and keys that each looks at."""
_MOST_EXCHANGES = 50


class Celery(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"celery"})
    name = "Celery"
    harm = "a worker that takes a job of another form loses its connection and the messages it holds"
    prefetches = True

    def by_key(self, key: str) -> str | None:
        if _OWN.search(key):
            return "kombu keeps its own records under that name"
        return default_name("celery") if key.split(_BETWEEN)[0] == "celery" else None

    def by_value(self, value: bytes) -> str | None:
        message = fields(value)
        properties = message.get("properties")
        if "body" in message and isinstance(properties, dict) and "delivery_tag" in properties:
            return "a Celery message waits in it"
        return None

    def inquiry(self, key: str, kind: str) -> Inquiry:
        """The set of the exchange of the same name, under each prefix that the key may have."""
        queue = key.split(_BETWEEN)[0]
        named = [("", queue), *splits(queue, ":_./-")]
        questions: list[Question] = []
        for prefix, name in named:
            questions.append(("SSCAN", f"{prefix}{_BINDING}{name}", 0, *_READ))
            questions.append(("EXISTS", f"{prefix}{_BINDING}celery.pidbox"))

        def read(answers: Sequence[Any]) -> str | Inquiry | None:
            for (prefix, name), found in zip(named, answers[::2], strict=True):
                if name in _queues(found):
                    return f"the set {prefix}{_BINDING}{name} names it"
            lives = [each for each, there in zip(named, answers[1::2], strict=True) if number(there)]
            return _exchanges(lives[0]) if lives else None

        return Inquiry(questions, read)

    def spelling(self, key: str) -> tuple[str, str] | None:
        return "celery", key.split(_BETWEEN)[0]


def _queues(answer: Any) -> set[str]:
    return {text(member).split(_BETWEEN)[-1] for member in members(answer)}


def _exchanges(place: tuple[str, str], cursor: str = "0", left: int = _ROUNDS) -> Inquiry:
    """A worker lives in this database: the exchanges of other names are looked for among its first keys."""
    prefix = place[0]
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", f"{prefix}{_BINDING}") + "*"

    def read(answers: Sequence[Any]) -> str | Inquiry | None:
        found = members(answers[0])[:_MOST_EXCHANGES]
        then = text(answers[0][0]) if isinstance(answers[0], list) else "0"
        onward = _exchanges(place, then, left - 1) if then != "0" and left > 1 else None
        return _bound(place, found, onward) if found else onward

    return Inquiry((("SCAN", cursor, "MATCH", pattern, "COUNT", _A_ROUND),), read)


def _bound(place: tuple[str, str], keys: Sequence[bytes], onward: Inquiry | None) -> Inquiry:
    def read(answers: Sequence[Any]) -> str | Inquiry | None:
        for key, answer in zip(keys, answers, strict=True):
            if place[1] in _queues(answer):
                return f"the set {text(key)} names it"
        return onward

    return Inquiry([("SSCAN", key, 0, *_READ) for key in keys], read)
