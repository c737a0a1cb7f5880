"""How one job becomes Redis commands: constants, slots for numbers, and values with templates in them."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from plg.dataclass import dataclass

SlotKind = Literal["seq", "seq_hex", "now_ms", "now_s", "now_us", "now_iso", "now_ms_4096"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A number that is written into many jobs at once.

    ``seq`` is the job's number in decimal digits, ``seq_hex`` the same in twelve hexadecimal ones. The others are the
    moment of sending: ``now_ms`` and ``now_us`` since the epoch, ``now_s`` in seconds with six decimals, ``now_iso`` as
    UTC without a zone (2026-11-28T07:30:00.123456), ``now_ms_4096`` milliseconds times 4096. ``plus`` (s) is added to
    that moment: a job that is delayed is due so much later.
    """

    kind: SlotKind
    plus: float = 0.0


@dataclass(frozen=True, slots=True)
class Spelled:
    """A value whose strings may hold templates, and how it is written: ``json``; ``text`` (a string as it is, anything
    else as JSON); ``json_text``, JSON as a part of a JSON string, without the quotes around it; or ``pickle``, as
    Python's pickle protocol 0 without the final stop."""

    value: Any
    form: Literal["json", "text", "json_text", "pickle"]


@dataclass(frozen=True, slots=True)
class Measured:
    """Pieces with the number of their bytes before them, as Protocol Buffers write it (a base 128 varint)."""

    pieces: tuple[bytes | Slot | Spelled, ...]


Word = tuple[bytes | Slot | Spelled | Measured, ...]
"""One argument of a command, put together from its pieces."""


def varint(number: int) -> bytes:
    """A number that is not negative, as Protocol Buffers write it: seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


@dataclass(frozen=True, slots=True)
class Recipe:
    """The commands that enqueue one job, in their order.

    With ``jobs_a_command`` above 1 there is one command, and the words after the first ``shared`` are repeated for
    each of up to so many jobs: LPUSH takes any number of values. The answers to a job's commands settle it: it is
    acked with the last of them, and failed where any is an error, by the first error's words.
    """

    commands: tuple[tuple[Word, ...], ...]
    jobs_a_command: int = 1
    shared: int = 2

    @property
    def settles(self) -> tuple[int, ...]:
        """How many jobs each of a job's answers settles; one answer settles all jobs of a command that takes many."""
        return (0,) * (len(self.commands) - 1) + (1,)


def json_of(value: object) -> bytes:
    """A value that is the same for every job, as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def constant(text: str | bytes) -> Word:
    """A word that is the same for every job."""
    return (text.encode() if isinstance(text, str) else text,)


def digest(*parts: object) -> int:
    """64 bits that follow from the parts: the same on every machine."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")


def unique_id(*parts: object) -> tuple[bytes, Slot]:
    """The pieces of an id in the form of a UUID, version 4: bits from the parts, 48 bits of ``seq``.

    Unique by construction where the parts name a run and a place in its jobs.
    """
    bits = digest("uuid", *parts)
    head = f"{bits >> 32 & 0xFFFFFFFF:08x}-{bits >> 16 & 0xFFFF:04x}-4{bits >> 4 & 0xFFF:03x}"
    return f"{head}-{0x8000 | (bits & 0xF) << 8 | digest(head) & 0xFF:04x}-".encode(), Slot("seq_hex")
