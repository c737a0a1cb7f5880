"""taskiq: a list of messages, or a stream whose entries hold one in the field ``data`` and which workers read in a
consumer group, ``taskiq`` unless told otherwise. An empty list bears no mark; only its usual name, ``taskiq``, tells.

A stream stays filled once it has held a message. One that has never held any is told by the names that workers give to
themselves in a group of another name, which servers before Redis 7.2 do not keep.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Finding, Inquiry, Spelling, Unmarked, Unseen, default_name, number, text

_USUAL = "taskiq"
_OF_PLG = "plg"
_MOST_GROUPS = 100
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_PARTS = (b"task_id", b"task_name", b"labels")


class Taskiq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"taskiq", "taskiq_stream"})
    name = "taskiq"
    harm = "a worker cannot read the job, and drops it"
    usual = _USUAL

    def by_key(self, key: str) -> str | None:
        return default_name(_USUAL) if key == _USUAL else None

    def by_value(self, value: bytes) -> str | None:
        # As JSON, MessagePack or CBOR: the names of the parts stand in it as they are.
        return "a taskiq message waits in it" if all(part in value for part in _PARTS) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        if kind != "stream":
            return None

        def read(answers: Sequence[Any]) -> Finding:
            groups = _names(answers[0])
            if _USUAL in groups:
                return "its consumer group taskiq reads the stream"
            others = [group for group in groups if group != _OF_PLG]
            return _others(key, others) if others and not number(answers[1]) else None

        return Inquiry((("XINFO", "GROUPS", key), ("XLEN", key)), read)

    def spelling(self, key: str, kind: str) -> Spelling | None:
        return Spelling("taskiq_stream" if kind == "stream" else "taskiq", key)


def _names(answer: Any) -> list[str]:
    """Of the groups or consumers that XINFO tells of."""
    tables = [dict(zip(each[::2], each[1::2], strict=False)) for each in answer or () if isinstance(each, list)]
    return [text(told.get(b"name")) for told in tables]


def _others(key: str, groups: Sequence[str]) -> Inquiry:
    """Who reads an empty stream in groups of other names: each worker under a random UUID."""
    seen = groups[:_MOST_GROUPS]

    def read(answers: Sequence[Any]) -> Finding:
        readers = {group: _names(answer) for group, answer in zip(seen, answers, strict=True)}
        for group, names in readers.items():
            if names and all(map(_UUID.fullmatch, names)):
                return f"the stream is empty, and workers with names as taskiq's read it in its consumer group {group}"
        if silent := next((group for group, names in readers.items() if not names), None):
            return Unseen(f"the stream is empty, and nothing tells who reads it in its consumer group {silent}")
        return Unseen(f"only {_MOST_GROUPS} of its consumer groups were looked at") if len(groups) > len(seen) else None

    return Inquiry([("XINFO", "CONSUMERS", key, group) for group in seen], read)
