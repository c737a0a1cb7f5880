"""Offsets of moments, lengths before pieces, and JSON inside JSON: many jobs at once and one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.spelled import commands

from plg.language.payload import compile_value
from plg.queues.recipe import Measured, Recipe, Slot, Spelled, constant, varint
from plg.targets.encoding import JobEncoder, Kind, parcels

words = ["a", "é", '"', "\\", "\n", " ", "${seq}", "${uuid}", "${now_ms}", "${rand(1,999)}", "漢" * 60]
text = st.lists(st.sampled_from(words), max_size=6).map("".join)
value = st.recursive(
    text | st.integers(-5, 5) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from('ab"'), inner, max_size=3),
    max_leaves=6,
)
PLUS = 2.5


def read_varint(data: bytes) -> tuple[int, bytes]:
    """By the letter of the Protocol Buffers encoding: seven bits a byte, lowest first, the top bit for more."""
    number = shift = 0
    for at, byte in enumerate(data):
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return number, data[at + 1 :]
    raise AssertionError("a length without an end")


@given(st.integers(0, 2**40))
def test_varint(number: int) -> None:
    assert read_varint(varint(number) + b"rest") == (number, b"rest")


def sent(given: object, first: int, count: int, wall: float) -> list[list[bytes]]:
    recipe = Recipe(
        (
            (
                constant("HSET"), constant("k"),
                (b"<", Measured((b'{"v":', Spelled(given, "json"), b',"n":', Slot("seq"), b"}")), b">"),
                (b'{"body":"', Spelled(given, "json_text"), b'"}'),
                (Slot("now_iso", PLUS), b"Z"),
                (Slot("now_ms", PLUS),),
                (Slot("now_ms"),),
                (Slot("now_ms_4096", PLUS),),
            ),
        )
    )  # fmt: skip
    kind = Kind(recipe, "k", partial(compile_value, run="r", job="j"))
    seq = np.arange(first, first + count)
    made = parcels(
        JobEncoder([kind]).encode(
            seq, np.zeros(count), np.zeros(count, dtype=np.intp), [count], [wall], [""] * count
        )
    )  # fmt: skip
    found = commands(b"".join(command.data for group in made for command in group))
    alone = [argv for number in seq.tolist() for argv in commands(kind.encode(number, wall, ""))]
    assert found == alone
    return found


@given(value, st.integers(0, 3_000) | st.just(999_990), st.sampled_from([1, 5, 9, 30]), st.floats(1.6e9, 1.9e9))
def test_what_is_written_can_be_read(given: object, first: int, count: int, wall: float) -> None:
    for number, argv in enumerate(sent(given, first, count, wall), start=first):
        _, _, framed, envelope, iso, later, now, score = argv
        assert framed[:1] == b"<"
        length, rest = read_varint(framed[1:])
        assert rest[length:] == b">"
        inner = json.loads(rest[:length])
        assert inner["n"] == number
        body = json.loads(json.loads(envelope)["body"])
        # Each place of a template has random values of its own; all others are alike in both.
        if "rand" not in json.dumps(given) and "uuid" not in json.dumps(given):
            assert body == inner["v"]
        stamp = datetime.fromisoformat(iso.decode().removesuffix("Z")).replace(tzinfo=UTC).timestamp()
        assert abs(stamp - wall - PLUS) < 2e-6
        assert int(later) - int(now) in (2499, 2500, 2501)
        assert int(score) == int(later) * 4096
