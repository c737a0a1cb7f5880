"""Celery, and whatever else sends through kombu: a list that bears the queue's own name.

An empty queue of no worker bears no mark: only ``celery``, the name that it has unless told otherwise, tells.

Each exchange has a set ``_kombu.binding.EXCHANGE`` of ``routing key, pattern, queue``; Celery gives a queue an exchange
of the same name unless told otherwise. All keys may have a prefix (``global_keyprefix``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Finding, Inquiry, Unmarked, default_name, fields, literal, splits, text
from plg.queues.owners.walk import Walk

_BINDING = "_kombu.binding."
_BETWEEN = "\x06\x16"
"""Between the parts of a binding, and between a queue's name and a priority, unless told otherwise."""
_OWN = re.compile(r"_kombu\.|^unacked(_index|_mutex)?$|^celeryev(\.|$)|\.celery\.pidbox$")
_USUAL = re.compile(r"(?P<between>\x06\x16)$")
_OTHER = re.compile(r"(?P<between>[^A-Za-z0-9$]{1,4})(?P=between)$|\$(?P<after>[^A-Za-z0-9$]{1,4})$")
"""How what stands before the queue in a binding ends. Another separator (``sep``) shows where the pattern is empty, or
by the ``$`` that ends the pattern of a topic."""
_PRIORITY = re.compile(r"(?P<queue>.+?)(?P<between>[^A-Za-z0-9]{1,4})\d{1,3}", re.DOTALL)
_PAGE, _PAGES = 5000, 20
_MOST_EXCHANGES = 1000


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
        """The set of the exchange of the same name, under each prefix that the key may have; then all exchanges.

        A worker need not live for that, nor be one that answers: its bindings stay.
        """
        named = [
            (f"{prefix}{_BINDING}{exchange}", local)
            for prefix, local in [("", key), *splits(key, ":_./-")]
            for exchange in dict.fromkeys((local, _base(local)))
            if exchange
        ]

        def read(answers: Sequence[Any]) -> Finding:
            return (*(_bound(name, local) for (name, local), there in zip(named, answers, strict=True) if there), all_)

        all_ = _exchanges(key)
        return Inquiry([("EXISTS", name) for name, _ in named], read)

    def spelling(self, key: str) -> tuple[str, str] | None:
        return "celery", key.split(_BETWEEN)[0]


def _base(name: str) -> str:
    """A queue's name without the priority that its key may have."""
    found = _PRIORITY.fullmatch(name)
    return found["queue"] if found else name


def _names(binding: str, name: str) -> bool:
    """Whether a binding is of the queue whose key, apart from a prefix, is ``name``."""
    found = _PRIORITY.fullmatch(name)
    end = _USUAL if _BETWEEN in binding else _OTHER
    for queue, between in ((name, None), *((found.groups(),) if found else ())):
        before = end.search(binding.removesuffix(queue)) if binding.endswith(queue) else None
        if before and between in (None, *before.groups()):
            return True
    return False


def _bound(exchange: str | bytes, name: str) -> Inquiry:
    """The bindings of one exchange, of which one may name the queue."""
    shown = exchange if isinstance(exchange, str) else text(exchange)

    def find(members: Sequence[bytes]) -> str | None:
        return f"the set {shown} names it" if any(_names(text(member), name) for member in members) else None

    base = _base(name)
    match = f"*{literal(base)}" if base == name else f"*{literal(base)}*"
    return Walk("SSCAN", exchange, f"members of the set {shown}", find, match, _PAGE, _PAGES).begin()


def _exchanges(key: str) -> Inquiry:
    """All exchanges, under any prefix that the key has."""

    def find(keys: Sequence[bytes]) -> Finding:
        prefixes = [(each, text(each).partition(_BINDING)[0]) for each in keys]
        return tuple(_bound(each, key[len(prefix) :]) for each, prefix in prefixes if key.startswith(prefix))

    return Walk("SCAN", "", "keys", find, f"*{_BINDING}*", _PAGE, _PAGES, _MOST_EXCHANGES).begin()
