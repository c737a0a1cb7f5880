"""taskiq: a list of messages, or a stream whose entries hold one in the field ``data`` and which workers read in the
consumer group ``taskiq``. An empty list bears no mark; only its usual name, ``taskiq``, tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plg.queues.owners.base import Inquiry, Unmarked, default_name, text

_USUAL = "taskiq"
_PARTS = (b"task_id", b"task_name", b"labels")


class Taskiq(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"taskiq", "taskiq_stream"})
    name = "taskiq"
    harm = "a worker cannot read the job, and drops it"

    def by_key(self, key: str) -> str | None:
        return default_name(_USUAL) if key == _USUAL else None

    def by_value(self, value: bytes) -> str | None:
        # As JSON, MessagePack or CBOR: the names of the parts stand in it as they are.
        return "a taskiq message waits in it" if all(part in value for part in _PARTS) else None

    def inquiry(self, key: str, kind: str) -> Inquiry | None:
        if kind != "stream":
            return None

        def read(answers: Sequence[Any]) -> str | None:
            for group in answers[0] if isinstance(answers[0], list) else ():
                told = dict(zip(group[::2], group[1::2], strict=False)) if isinstance(group, list) else {}
                if text(told.get(b"name")) == _USUAL:
                    return "its consumer group taskiq reads the stream"
            return None

        return Inquiry((("XINFO", "GROUPS", key),), read)

    def spelling(self, key: str) -> tuple[str, str] | None:
        return "taskiq", key
