"""Templates: what each stands for, that the JSON text is the JSON of the value, and that runs can be repeated."""

from __future__ import annotations

import json
import pickle
import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.language_documents import UNHURRIED, json_values
from support.spelled import spelled

from plg.language.payload import TemplateError, compile_value, faults_of
from plg.language.spelling import JSON
from plg.language.tables import Table

USERS = Table(("email", "age"), [["ann@example.org", "31"], ['b"ob\\@example.org', "54"], ["é@example.org", "9"]])

GOLDEN_RAND = [654, 828, 482, 544, 534, 538, 229, 83]
GOLDEN_UUID = "80c0a001-52c3-43f6-83d3-000000000007"


def value(payload: Any, seq: int = 7, now: float = 1234.5678, phase: str = "doors", **options: Any) -> Any:
    given = {"tables": {"users": USERS}, "run": "r1", "job": "checkout"} | options
    return json.loads(spelled(payload, seq=seq, now=now, phase=phase, **given))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${seq}", 7),
        ("A-${seq}", "A-7"),
        ("${now_ms}", 1234567),
        ("${phase}/${job}/${run}", "doors/checkout/r1"),
        ("${users.email}", 'b"ob\\@example.org'),
        ("age ${users.age}", "age 54"),
        ("$${seq}", "${seq}"),
        ("$$${seq}", "$${seq}"),
        ("$ {seq} $", "$ {seq} $"),
        ("${ seq }", 7),
        ("${choice(5)}", 5),
        ('${choice("x}y")}', "x}y"),
        ("${choice(null)}", None),
        ("<${choice(null)}>", "<null>"),
        ("<${choice(true)}>", "<true>"),
        ("${rand(3,3)}", 3),
        ("", ""),
        ({"a": ["${seq}", {"b": "${seq}!"}], "${seq}": 1}, {"a": [7, {"b": "7!"}], "${seq}": 1}),
    ],
)
def test_values(template: Any, expected: Any) -> None:
    assert value(template) == expected
    assert type(value(template)) is type(expected)


def test_rows_come_round() -> None:
    assert [value("${users.age}", seq=n) for n in range(5)] == ["31", "54", "9", "31", "54"]


@settings(parent=UNHURRIED, max_examples=200)
@given(json_values, st.integers(0, 2**40), st.floats(0, 4e9), st.text(max_size=5))
def test_every_spelling_holds_the_value(payload: Any, seq: int, now: float, phase: str) -> None:
    """JSON, plain text and pickle, read by Python's own readers."""
    given = {"seq": seq, "now": now, "phase": phase, "run": "r", "job": "j", "seed": 3}
    text = spelled(payload, **given)
    found = json.loads(text)
    assert pickle.loads(spelled(payload, "pickle", **given) + b".") == found
    plain = spelled(payload, "text", **given)
    assert plain == (found.encode(errors="surrogatepass") if isinstance(found, str) else text)
    if all(isinstance(piece, str) for piece in compile_value(payload, JSON).pieces):
        assert text == spelled(payload, **{**given, "seq": seq + 1, "now": now + 1, "phase": phase + "x"})


@pytest.mark.parametrize(
    "value", [2**31, -(2**40), 1e300, 0.1, True, False, None, "a\nb\\u0041\r\x1a\0é€😀", {"é\n": [[], {}, ""]}]
)
def test_pickles_of_what_is_hard_to_write(value: Any) -> None:
    assert pickle.loads(spelled(value, "pickle") + b".") == value
    assert spelled(value, "pickle").isascii()


def test_uuids_are_uuids_and_never_the_same() -> None:
    three = ["${uuid}", "${uuid}", "x${uuid}"]
    found = [text for seq in range(2000) for text in value(three, seq, run="r", job="j")]
    assert len(set(found)) == len(found)
    for text in found[:50]:
        parsed = uuid.UUID(text.removeprefix("x"))
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122
        assert str(parsed) == text.removeprefix("x")
    for other in ({"run": "s", "job": "j"}, {"run": "r", "job": "k"}):
        assert not {value("${uuid}", seq, **other) for seq in range(100)} & set(found)


def test_random_values_are_even_and_repeatable() -> None:
    draws = [value("${rand(1,6)}", seq=n) for n in range(6000)]
    assert draws == [value("${rand(1,6)}", seq=n) for n in range(6000)]
    counts = Counter(draws)
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    # Chi-square with 5 degrees of freedom: 20.5 is exceeded once in a thousand, and the draws are fixed.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5
    assert draws != [value("${rand(1,6)}", seq=n, seed=1) for n in range(6000)]
    decimal = [value("${rand(0.5,1.5)}", seq=n) for n in range(1000)]
    assert all(0.5 <= number < 1.5 for number in decimal)
    assert abs(sum(decimal) / 1000 - 1) < 0.05
    chosen = Counter(value('${choice("a","b")}', seq=n) for n in range(1000))
    assert set(chosen) == {"a", "b"}
    assert abs(chosen["a"] - 500) < 80
    pair = value(["${rand(1,1000000)}", "${rand(1,1000000)}"], seq=3)
    assert pair[0] != pair[1]


def test_a_golden_draw() -> None:
    """The generator is written out, so these hold on every machine and for ever."""
    assert [value("${rand(1,1000)}", seq=n) for n in range(8)] == GOLDEN_RAND
    assert value("${uuid}") == GOLDEN_UUID


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("${sqe}", "unknown-template"),
        ("${}", "unknown-template"),
        ("${", "unknown-template"),
        ("x ${seq", "unknown-template"),
        ("${user.email}", "unknown-template"),
        ("${users.emial}", "unknown-template"),
        ("${random(1,2)}", "unknown-template"),
        ("${rand()}", "bad-template"),
        ("${rand(2,1)}", "bad-template"),
        ('${rand("a","b")}', "bad-template"),
        ("${rand(true,2)}", "bad-template"),
        ("${choice()}", "bad-template"),
        ("${choice(a)}", "bad-template"),
        ("${rand(1,99999999999999999999)}", "bad-template"),
    ],
)
def test_what_cannot_be_filled(template: str, code: str) -> None:
    payload = {"fine": "${seq}", "bad": ["  " + template]}
    (path, error), *rest = faults_of(payload, {"users": USERS}, ("payload",))
    assert (path, error.code, rest) == (("payload", "bad", 0), code, [])
    assert payload["bad"][0][error.start : error.end].startswith("${")
    with pytest.raises(TemplateError):
        compile_value(template, JSON, tables={"users": USERS})


def test_a_table_that_could_not_be_read_is_not_blamed_twice() -> None:
    assert faults_of("${users.anything}", {"users": None}) == []
