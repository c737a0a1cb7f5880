"""Answers are counted rightly whatever slices they arrive in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plg.targets.replies import ProtocolError, ReplyReader

one = st.one_of(
    st.integers(0, 10**12).map(lambda n: (f":{n}\r\n".encode(), None)),
    st.just((b"+OK\r\n", None)),
    st.just((b"$-1\r\n", None)),
    st.binary(max_size=40).map(lambda b: (b"$%d\r\n%b\r\n" % (len(b), b), None)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(
        lambda s: (f"-ERR {s}\r\n".encode(), f"ERR {s}")
    ),
)


@given(st.lists(one, max_size=60), st.lists(st.integers(1, 50), max_size=60))
def test_any_slicing_gives_the_same_answers_in_order(replies, cuts):
    stream = b"".join(data for data, _ in replies)
    reader, got, position = ReplyReader(), [], 0
    for size in [*cuts, len(stream)]:
        if position < len(stream):
            for count, error in reader.feed(stream[position : position + size]):
                got += [error] * count
            position += size
    if position < len(stream):
        for count, error in reader.feed(stream[position:]):
            got += [error] * count
    assert got == [error for _, error in replies]


def test_many_integers_are_one_entry():
    assert ReplyReader().feed(b":1\r\n:2\r\n:3\r\n") == [(3, None)]


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03\x01\r\n", b"*1\r\n:1\r\n", b"$x\r\n"])
def test_a_peer_that_speaks_something_else_is_found_out(junk):
    with pytest.raises(ProtocolError):
        ReplyReader().feed(junk)


def test_a_reply_without_an_end_does_not_fill_the_memory():
    reader = ReplyReader()
    for _ in range(15):
        assert reader.feed(b"-" + b"x" * 4096) == []
    with pytest.raises(ProtocolError):
        reader.feed(b"x" * 8192)
