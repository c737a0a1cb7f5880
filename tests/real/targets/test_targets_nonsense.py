"""A port may belong to anything: whatever it answers to whichever question, plg says in its own words what is wrong."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

import pytest

from plg.queues.base import Job, Queue
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.targets.replies import ReplyReader
from plg.targets.shapes import fits

JOBS = (
    Job("a", queue=Queue("list", "orders")),
    Job("b", queue=Queue("stream", "events")),
    # Names for which the marks of frameworks are asked for.
    Job("c", queue=Queue("list", "queue:mail")),
    Job("d", queue=Queue("list", "shop:mail:wait")),
)
INFO = b"redis_version:7.0.0\r\nrole:master\r\n"
ENTRY = b"*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$3\r\njob\r\n$1\r\nx\r\n"
GROUP = b"*6\r\n$4\r\nname\r\n$1\r\ng\r\n$7\r\npending\r\n:0\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n"
SENSE = {
    b"PING": b"+PONG\r\n",
    b"INFO": b"$%d\r\n%s\r\n" % (len(INFO), INFO),
    b"CLUSTER": b"-ERR This instance has cluster support disabled\r\n",
    b"TYPE": b"+none\r\n",
    b"LLEN": b":1\r\n",
    b"LRANGE": b"*1\r\n$1\r\nx\r\n",
    b"LINDEX": b"$1\r\nx\r\n",
    b"PTTL": b":-1\r\n",
    b"TIME": b"*2\r\n$10\r\n1700000000\r\n$1\r\n5\r\n",
    b"XLEN": b":1\r\n",
    b"XRANGE": ENTRY,
    b"XREVRANGE": ENTRY,
    b"XINFO": b"*1\r\n" + GROUP,
    b"XPENDING": b"*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n",
    b"MEMORY": b":100\r\n",
    b"SCAN": b"*2\r\n$1\r\n0\r\n*1\r\n$19\r\n_kombu.binding.shop\r\n",
    b"SSCAN": b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n",
    b"ZSCAN": b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\nx\r\n$1\r\n5\r\n",
    b"SISMEMBER": b":0\r\n",
    b"GET": b"$-1\r\n",
    b"HGET": b"$-1\r\n",
    b"HMGET": b"*2\r\n$-1\r\n$-1\r\n",
    b"EXISTS": b":0\r\n",
}
"""What a server answers that is in its right mind, apart from OK."""
ASKED = (
    "AUTH", "SELECT", "PING", "INFO", "CLUSTER", "TYPE", "MULTI", "DISCARD", "MEMORY", "EXISTS", "SSCAN", "SCAN",
    "ZSCAN", "SISMEMBER", "GET", "HGET", "HMGET",
    "LLEN", "LRANGE", "LINDEX", "PTTL", "TIME", "XLEN", "XRANGE", "XREVRANGE", "XINFO", "XPENDING",
)  # fmt: skip
NONSENSE = {
    "closes": None,
    "number": b":1\r\n",
    "text": b"$3\r\nabc\r\n",
    "status": b"+WHAT\r\n",
    "nothing": b"$-1\r\n",
    "no-list": b"*-1\r\n",
    "numbers": b"*2\r\n:1\r\n:2\r\n",
    "empty-list": b"*0\r\n",
    "list-of-nothing": b"*2\r\n$-1\r\n$-1\r\n",
    "huge-length": b"$99999999999999999999\r\n",
    "no-length": b"$abc\r\n",
    "no-number": b":abc\r\n",
    "long-number": b":" + b"9" * 5000 + b"\r\n",
    "deep": b"*1\r\n" * 5000 + b":1\r\n",
    "deep-without-an-end": b"*1\r\n" * 5000,
    "error": b"-ERR \x1b[2J boo \xff\r\n",
    "error-without-words": b"-\r\n",
    "code-without-words": b"-LOADING\r\n",
    "moved-nowhere": b"-MOVED x\r\n",
    "ask-nowhere": b"-ASK 3\r\n",
    "push": b">2\r\n+invalidate\r\n*0\r\n",
    "map": b"%1\r\n+a\r\n:1\r\n",
    "true": b"#t\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "too-many": b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
    "line-ends": b"\r\n\r\n",
    "not-utf8": b"$2\r\n\xff\xfe\r\n",
}
OF_A_LIBRARY = re.compile(
    r"Error|recursion|invalid literal|by server\.|has no attribute|unpack|object|index-sized|digits|codec|Invalid"
)


def answering(command: bytes, nonsense: bytes | None, heard: set[bytes]):
    """A server that is in its right mind until it is asked for ``command``."""

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            queued = False
            while line := stream.readline():
                words = []
                for _ in range(int(line[1:])):
                    words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
                heard.add(words[0])
                if queued and words[0] != b"DISCARD":
                    connection.sendall(b"+QUEUED\r\n")
                elif words[0] != command:
                    connection.sendall(SENSE.get(words[0], b"+OK\r\n"))
                elif nonsense is None:
                    return
                else:
                    connection.sendall(nonsense)
                queued = (queued or words[0] == b"MULTI") and words[0] != b"DISCARD"

    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_quietly, args=(talk, connection), daemon=True).start()

    return handle


def _quietly(talk, connection: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):  # plg has hung up
        talk(connection)


def use(url: str) -> str:
    """All that plg asks of a server before and during a run; what it says of it."""
    try:
        with open_target(url, JOBS, connect_timeout=0.3) as target:
            probe = target.probe()
            try:
                probe.rehearse()
                probe.look()
            finally:
                probe.close()
            target.connect().close()
            return " ".join(target.notes)
    except TargetError as error:
        return str(error)


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_whatever_is_answered_the_words_are_those_of_plg_or_of_the_server(scripted, nonsense: str) -> None:
    for command in ASKED:
        heard: set[bytes] = set()
        server = scripted(answering(command.encode(), NONSENSE[nonsense], heard))
        said = use(f"redis://:hunter22@127.0.0.1:{server.port}/3")
        assert command.encode() in heard
        assert not OF_A_LIBRARY.search(said), (command, said)


def test_a_server_in_its_right_mind_is_used(scripted) -> None:
    heard: set[bytes] = set()
    assert use(f"redis://:hunter22@127.0.0.1:{scripted(answering(b'', None, heard)).port}/3") == ""
    assert heard >= {command.encode() for command in ASKED}


@pytest.mark.parametrize(
    ("nonsense", "words"),
    [
        ("deep", "refused: the answer is not the Redis protocol (check the port: something else listens there)"),
        ("huge-length", "refused: the answer is not the Redis protocol"),
        ("http", "refused: the answer is not the Redis protocol"),
        ("closes", "cannot be reached: the server closed the connection"),
        ("number", "refused: PING is not answered as Redis answers it (check the port: something else listens there)"),
        ("error-without-words", "refused: an error without words"),
        ("code-without-words", "refused: LOADING (the server is still reading its data from disk"),
    ],
)
def test_what_is_said_of_nonsense(scripted, nonsense: str, words: str) -> None:
    assert words in use(scripted(answering(b"PING", NONSENSE[nonsense], set())).url)


def test_an_answer_of_the_wrong_kind_ends_the_looking_and_not_plg(scripted) -> None:
    for command in ("TYPE", "LLEN", "LRANGE", "LINDEX", "XRANGE", "XINFO", "XPENDING", "TIME"):
        said = use(scripted(answering(command.encode(), b":-1\r\n" if command != "LLEN" else b"+1\r\n", set())).url)
        assert f"refused: {command} is not answered as Redis answers it" in said


@pytest.mark.parametrize(
    ("command", "answer", "good"),
    [
        (("HMGET", "k", "a", "b"), [b"1", None], True),
        (("HMGET", "k", "a", "b"), [b"1"], False),
        (("XRANGE", "k"), [[b"1-0", None]], True),
        (("XRANGE", "k"), [[b"1-x", None]], False),
        (("XINFO", "CONSUMERS", "k", "g"), [[b"name", b"w", b"pending", 0, b"idle", 3]], True),
        (("XINFO", "CONSUMERS", "k", "g"), [[b"name", 1]], False),
        (("XINFO", "GROUPS", "k"), [[b"name", b"w", b"pending", 0, b"idle", 3]], False),
        (("ZSCAN", "k", b"0"), [b"0", [b"a", b"1"]], True),
        (("ZSCAN", "k", b"0"), [b"0", [b"a"]], False),
        (("SSCAN", "k", b"0"), [b"18446744073709551615", [b"a"]], True),
        (("SSCAN", "k", b"0"), [b"x", [b"a"]], False),
        (("XPENDING", "k", "g"), [1, b"1-0", b"1-0", []], True),
        (("XPENDING", "k", "g"), [1, None, None, []], False),
        (("BRPOP", "k", 1), None, True),
        (("XREADGROUP", "GROUP"), [[b"k", [[b"1-0", [b"job", b"x"]]]]], True),
        (("XREADGROUP", "GROUP"), [[b"k", [b"1-0"]]], False),
        (("LPUSH", "k", "v"), b"QUEUED", True),
    ],
)
def test_shapes(command: tuple[object, ...], answer: object, good: bool) -> None:
    assert fits(command, answer) is good


def test_a_job_that_is_refused_without_a_word() -> None:
    assert ReplyReader().feed(b"-\r\n") == [(1, "an error without words")]
