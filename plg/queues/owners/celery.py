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
from plg.queues.owners.base import Inquiry, Unmarked, default_name, fields, members, splits, text

_BINDING = "_kombu.binding."
_BETWEEN = "\x06\x16"
"""Between the parts of a binding, and between a queue's name and a priority."""
_OWN = re.compile(rf"{re.escape(_BINDING)}|^unacked(_index|_mutex)?$|^celeryev(\.|$)|\.celery\.pidbox$")
_A_SET = 1000
"""Bindings of one exchange that are looked at."""
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

        def read(answers: Sequence[Any]) -> str | Inquiry | None:
            for (prefix, name), found in zip(named, answers, strict=True):
                if name in _queues(found):
                    return f"the set {prefix}{_BINDING}{name} names it"
            return _exchanges(queue)

        return Inquiry([_bindings(f"{prefix}{_BINDING}{name}", name) for prefix, name in named], read)

    def spelling(self, key: str) -> tuple[str, str] | None:
        return "celery", key.split(_BETWEEN)[0]


def _queues(answer: Any) -> set[str]:
    return {text(member).split(_BETWEEN)[-1] for member in members(answer)}


def _literal(pattern: str) -> str:
    """As a pattern that only this text fits."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", pattern)


def _bindings(key: str | bytes, queue: str) -> Question:
    """What asks an exchange's set for the bindings whose last part may be the queue."""
    return ("SSCAN", key, 0, "MATCH", f"*{_literal(queue)}", "COUNT", _A_SET)


def _exchanges(queue: str, cursor: str = "0", left: int = _ROUNDS) -> Inquiry:
    """The exchanges of other names, under any prefix, among the first keys of the database.

    A worker need not live for that, nor be one that answers: its bindings stay.
    """

    def read(answers: Sequence[Any]) -> str | Inquiry | None:
        found = members(answers[0])[:_MOST_EXCHANGES]
        then = text(answers[0][0]) if isinstance(answers[0], list) else "0"
        onward = _exchanges(queue, then, left - 1) if then != "0" and left > 1 else None
        prefixes = [(key, text(key).partition(_BINDING)[0]) for key in found]
        named = [(key, queue[len(prefix) :]) for key, prefix in prefixes if queue.startswith(prefix)]
        return _bound(named, onward) if named else onward

    return Inquiry((("SCAN", cursor, "MATCH", f"*{_BINDING}*", "COUNT", _A_ROUND),), read)


def _bound(named: Sequence[tuple[bytes, str]], onward: Inquiry | None) -> Inquiry:
    """The sets that may name the queue, each with the name that it would have there."""

    def read(answers: Sequence[Any]) -> str | Inquiry | None:
        for (key, name), answer in zip(named, answers, strict=True):
            if name in _queues(answer):
                return f"the set {text(key)} names it"
        return onward

    return Inquiry([_bindings(key, name) for key, name in named], read)
