"""Celery, and whatever else sends through kombu: a list that bears the queue's own name.

An empty queue of no worker bears no mark: only ``celery``, the name that it has unless told otherwise, tells.

Each exchange has a set ``_kombu.binding.EXCHANGE`` of ``routing key, pattern, queue``; Celery gives a queue an exchange
of the same name unless told otherwise. All keys may have a prefix (``global_keyprefix``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from plg.queues.owners.base import (
    Finding,
    Inquiry,
    Mark,
    Spelling,
    Unmarked,
    default_name,
    fields,
    literal,
    splits,
    text,
)
from plg.queues.owners.walk import Walk

_BINDING = "_kombu.binding."
_BETWEEN = "\x06\x16"
"""Between the parts of a binding, and between a queue's name and a priority, unless told otherwise."""
_OWN = re.compile(r"_kombu\.|^unacked(_index|_mutex)?$|^celeryev(\.|$)|\.celery\.pidbox$")
_USUAL = re.compile(r"(?P<between>\x06\x16)$")
_OTHER = re.compile(r"(?P<between>[^A-Za-z0-9$]{1,4})(?P=between)$|\$(?P<after>[^A-Za-z0-9$]{1,4})$")
"""How what stands before the queue in a binding ends. Another separator (``sep``) shows where the pattern is empty, or
by the ``$`` that ends the pattern of a topic."""
_SAME = re.compile(r"(?P<queue>.+)(?P<between>[^A-Za-z0-9$]{1,4})(?P=between)(?P=queue)", re.DOTALL)
"""A binding by the queue's own name."""
_PRIORITY = re.compile(r"(?P<queue>.+?)(?P<between>[^A-Za-z0-9]{1,4})\d{1,3}", re.DOTALL)
_PAGE, _PAGES = 5000, 20
_MOST_EXCHANGES = 1000


class Celery(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"celery"})
    name = "Celery"
    harm = "a worker that takes a job of another form loses its connection and the messages it holds"
    prefetches = True
    usual = "celery"
    registers: tuple[str, ...] = (f"{_BINDING}celery",)
    surprises: Mapping[str, str] = {
        "prefetch": "workers take messages before they run them (worker_prefetch_multiplier): what they hold has left "
        "the list, and is in flight for all queues together",
        "visibility-timeout": "a task that is not done within broker_transport_options visibility_timeout (1h unless "
        "told otherwise) is given to a second worker, also one that only waits for its time",
    }

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

    def alien(self, value: bytes) -> bool:
        return self.by_value(value) is None

    def inquiry(self, key: str, kind: str) -> Inquiry:
        """The set of the exchange of the same name, under each prefix that the key may have; then all exchanges.

        A worker need not live for that, nor be one that answers: its bindings stay.
        """
        named = [
            (prefix, exchange, local)
            for prefix, local in [("", key), *splits(key, ":_./-")]
            for exchange in dict.fromkeys((local, _base(local)))
            if exchange
        ]

        def read(answers: Sequence[Any]) -> Finding:
            return (*(_bound(*each) for each, there in zip(named, answers, strict=True) if there), all_)

        all_ = _exchanges(key)
        return Inquiry([("EXISTS", f"{prefix}{_BINDING}{exchange}") for prefix, exchange, _ in named], read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return None if _OWN.search(key) else Spelling("celery", key.split(_BETWEEN)[0])

    def member(self, register: str, member: str) -> Spelling | None:
        prefix, _, exchange = register.partition(_BINDING)
        ends = [member.rpartition(_BETWEEN)[2]] if _BETWEEN in member else _ends(member)
        queues = (each for each in ends if each and not _OWN.search(each))
        return next((found for each in queues if (found := _spelling(member, prefix, exchange, each))), None)

    def is_register(self, key: str) -> bool:
        return _BINDING in key


def _ends(member: str) -> list[str]:
    """What may be the queue at the end of a binding with another separator, the likeliest first."""
    same = _SAME.fullmatch(member)
    ends = [member[at + 1 :] for at in range(len(member) - 1, -1, -1) if not member[at].isalnum()]
    return [*([same["queue"]] if same else []), *ends]


def _base(name: str) -> str:
    """A queue's name without the priority that its key may have."""
    found = _PRIORITY.fullmatch(name)
    return found["queue"] if found else name


def _spelling(binding: str, prefix: str, exchange: str, name: str) -> Spelling | None:
    """How a scenario writes the queue whose key, apart from a prefix, is ``name``; None where this binding is not its.

    A worker looks at the exchange and routing key in a message that it gives back.
    """
    found = _PRIORITY.fullmatch(name)
    end = _USUAL if _BETWEEN in binding else _OTHER
    for queue, between in ((name, None), *((found.groups(),) if found else ())):
        before = end.search(binding.removesuffix(queue)) if binding.endswith(queue) else None
        if before and between in (None, *before.groups()):
            routed = binding.split(before["between"] or before["after"])[0]
            settings = {"prefix": prefix, "exchange": exchange, "routing_key": routed}
            return Spelling("celery", queue, {key: each for key, each in settings.items() if each not in ("", queue)})
    return None


def _bound(prefix: str, exchange: str, name: str) -> Inquiry:
    """The bindings of one exchange, of which one may name the queue."""
    key = f"{prefix}{_BINDING}{exchange}"

    def find(members: Sequence[bytes]) -> Mark | None:
        spellings = (_spelling(text(member), prefix, exchange, name) for member in members)
        spelling = next((each for each in spellings if each), None)
        return Mark(f"the set {key} names it", spelling) if spelling else None

    base = _base(name)
    match = f"*{literal(base)}" if base == name else f"*{literal(base)}*"
    return Walk("SSCAN", key, f"members of the set {key}", find, match, _PAGE, _PAGES).begin()


def _exchanges(key: str) -> Inquiry:
    """All exchanges, under any prefix that the key has."""

    def find(keys: Sequence[bytes]) -> Finding:
        parts = [text(each).partition(_BINDING) for each in keys]
        return tuple(_bound(prefix, name, key[len(prefix) :]) for prefix, _, name in parts if key.startswith(prefix))

    return Walk("SCAN", "", "keys", find, f"*{_BINDING}*", _PAGE, _PAGES, _MOST_EXCHANGES).begin()
