"""What each question that plg asks may be answered with, so that whoever reads an answer need not doubt it.

A port may belong to anything, and a proxy may mix answers up. Commands that are not named here may be answered with
whatever a server likes: nobody looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

Shape = Callable[[Any], bool]
_ID = re.compile(rb"\d{1,20}(-\d{1,20})?")


def fits(command: Sequence[Any], answer: Any) -> bool:
    """Whether ``answer`` (RESP2, and no error) is of the shape that Redis gives to ``command``."""
    shape = _SHAPES.get(str(command[0]))
    if shape is None or command[:2] == ("XINFO", "STREAM"):
        return True
    if command[:2] == ("XINFO", "CONSUMERS"):
        shape = _list_of(_consumer)
    if command[0] == "XPENDING" and len(command) > 3:
        shape = _list_of(_row_of(_id, _text, _number, _number))
    if command[0] == "HMGET":
        return shape(answer) and len(answer) == len(command) - 2
    return shape(answer)


def _number(answer: Any) -> bool:
    return isinstance(answer, int)


def _number_or_nothing(answer: Any) -> bool:
    return answer is None or isinstance(answer, int)


def _number_or_queued(answer: Any) -> bool:
    """Of a command that may stand in a transaction."""
    return isinstance(answer, int) or answer == b"QUEUED"


def _text(answer: Any) -> bool:
    return isinstance(answer, bytes)


def _text_or_nothing(answer: Any) -> bool:
    return answer is None or isinstance(answer, bytes)


def _pong(answer: Any) -> bool:
    return bool(answer == b"PONG")


def _list_of(shape: Shape) -> Shape:
    return lambda answer: isinstance(answer, list) and all(map(shape, answer))


def _row_of(*shapes: Shape) -> Shape:
    return lambda answer: (
        isinstance(answer, list)
        and len(answer) == len(shapes)
        and all(shape(each) for shape, each in zip(shapes, answer, strict=True))
    )


def _nothing_or(shape: Shape) -> Shape:
    return lambda answer: answer is None or shape(answer)


def _digits(answer: Any) -> bool:
    return isinstance(answer, bytes) and answer.isdigit() and len(answer) < 20


def _cursor(answer: Any) -> bool:
    return isinstance(answer, bytes) and answer.isdigit() and len(answer) <= 20  # 64 bits


def _pairs(answer: Any) -> bool:
    """A page of ZSCAN: members and scores in turn."""
    return bool(_page(answer)) and len(answer[1]) % 2 == 0


def _id(answer: Any) -> bool:
    return isinstance(answer, bytes) and _ID.fullmatch(answer) is not None


_fields = _nothing_or(_list_of(_text))
_entry = _row_of(_id, _fields)
_page = _row_of(_cursor, _list_of(_text))


def _table(answer: Any) -> dict[bytes, Any]:
    """Names and values in turn; empty where it is no such thing."""
    if not isinstance(answer, list) or len(answer) % 2 or not all(map(_text, answer[::2])):
        return {}
    return dict(zip(answer[::2], answer[1::2], strict=True))


def _group(answer: Any) -> bool:
    """One consumer group in XINFO GROUPS."""
    told = _table(answer)
    return (
        _text(told.get(b"name"))
        and _number(told.get(b"pending"))
        and _id(told.get(b"last-delivered-id"))
        and _number_or_nothing(told.get(b"lag"))
    )


def _consumer(answer: Any) -> bool:
    """One of XINFO CONSUMERS."""
    return _text(_table(answer).get(b"name"))


def _pending(answer: Any) -> bool:
    """The summary of XPENDING: how many, the first and last id, and who has them."""
    if not isinstance(answer, list) or len(answer) < 3 or not _number(answer[0]):
        return False
    return answer[0] == 0 or _id(answer[1])


def _role(answer: Any) -> bool:
    """What a server says it is, and more of that."""
    return isinstance(answer, list) and bool(answer) and _text(answer[0])


_SHAPES: dict[str, Shape] = {
    "PING": _pong,
    "SENTINEL": lambda answer: _text_or_nothing(answer) or _list_of(_text)(answer),
    "ROLE": _role,
    "TYPE": _text,
    "GET": _text_or_nothing,
    "HGET": _text_or_nothing,
    "LINDEX": _text_or_nothing,
    "MEMORY": _number_or_nothing,
    "TIME": _row_of(_digits, _digits),
    "HMGET": _list_of(_text_or_nothing),
    "HGETALL": _list_of(_text),
    "EVAL": _row_of(_text, _text, _text),
    "LRANGE": _list_of(_text),
    "SRANDMEMBER": _list_of(_text),
    "SCAN": _page,
    "SSCAN": _page,
    "ZSCAN": _pairs,
    "HSCAN": _pairs,
    "UNLINK": _number_or_queued,
    "SREM": _number_or_queued,
    "ZREVRANGE": _list_of(_text),
    "XRANGE": _list_of(_entry),
    "XREVRANGE": _list_of(_entry),
    "XINFO": _list_of(_group),
    "XPENDING": _pending,
    "BRPOP": _nothing_or(_row_of(_text, _text)),
    "BLPOP": _nothing_or(_row_of(_text, _text)),
    "XREADGROUP": _nothing_or(_list_of(_row_of(_text, _list_of(_entry)))),
    **dict.fromkeys(
        (
            "LLEN", "XLEN", "ZCARD", "ZCOUNT", "SCARD", "EXISTS", "SISMEMBER", "HSETNX", "HINCRBY", "EXPIRE", "DEL",
            "XACK", "LREM", "ZREM", "HDEL", "XDEL", "PTTL",
        ),
        _number,
    ),
}  # fmt: skip
