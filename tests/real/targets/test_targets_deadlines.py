"""No wait without an end: whatever a server does a byte or a step at a time is over at one deadline."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from plg.queues.base import Job, Queue
from plg.queues.use import queues_of
from plg.targets import dialing
from plg.targets.address import parse_address
from plg.targets.base import TargetError
from plg.targets.dialing import Deadline, dial, look_up
from plg.targets.open import open_target
from plg.targets.probe import RedisProbe
from plg.targets.shared_limit import SharedLimit

JOBS = (Job("a", queue=Queue("list", "orders")), Job("b", queue=Queue("stream", "events")))
PATIENCE = 0.6


def dripping(*before: bytes, begin: bytes = b"+", drop: bytes = b"x"):
    """Gives the answers ``before``, and to what is heard then one that never ends, a byte at a time."""

    def handle(connection: socket.socket) -> None:
        for answer in before:
            connection.recv(65536)
            connection.sendall(answer)
        connection.recv(65536)
        connection.sendall(begin)
        for byte in itertools.cycle(drop):
            time.sleep(0.05)
            connection.sendall(bytes([byte]))

    return handle


def dawdling(*answers: bytes, pause: float = 0.8 * PATIENCE):
    """Each answer comes in time, if only each step were timed."""

    def handle(connection: socket.socket) -> None:
        left = itertools.chain(answers, itertools.repeat(b"-ERR unknown command\r\n"))
        while heard := connection.recv(65536):
            time.sleep(pause)
            connection.sendall(b"".join(itertools.islice(left, len(re.findall(rb"\*\d+\r\n", heard)))))

    return handle


@contextlib.contextmanager
def over_soon():
    """What is done here fails for want of an answer, after some waiting and not much more than the deadline."""
    begun = time.monotonic()
    with pytest.raises(TargetError, match=r"no answer in time|not found in time"):
        yield
    assert 0.5 * PATIENCE < time.monotonic() - begun < PATIENCE + 1.0


TLS_RECORD = b"\x16\x03\x03\x3f\xff"
"""The head of a long record, as a server's hello begins."""


@pytest.mark.parametrize(
    ("url", "handle"),
    [
        ("redis://{}", dripping()),
        ("redis://user:pw@{}", dripping()),
        ("redis://:pw@{}/3", dripping(b"+OK\r\n")),
        ("redis://{}", dripping(b"+PONG\r\n", begin=b"$100000\r\n")),
        ("redis://{}", dripping(b"+PONG\r\n", b"-ERR\r\n", begin=b"*1\r\n*3\r\n:0\r\n:", drop=b"1")),
        ("rediss://{}?ssl_cert_reqs=none", dripping(begin=TLS_RECORD)),
        ("redis://user:pw@{}/1", dawdling(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n")),
        ("redis://{}", dawdling(b"+PONG\r\n")),
    ],
    ids=["ping", "auth", "select", "info", "cluster", "tls", "dawdling handshake", "dawdling look round"],
)
def test_opening_has_one_deadline(scripted, url: str, handle) -> None:
    server = scripted(handle)
    with over_soon():
        open_target(url.format(f"127.0.0.1:{server.port}"), JOBS, connect_timeout=PATIENCE)


def test_a_url_may_state_the_deadline(scripted) -> None:
    server = scripted(dripping())
    with over_soon():
        open_target(f"{server.url}?socket_connect_timeout={PATIENCE}", JOBS)


def test_a_connection_for_jobs_has_one_deadline(servers, any_binary, scripted) -> None:
    with open_target(servers(any_binary).url(), JOBS, connect_timeout=PATIENCE) as target:
        slow = scripted(dawdling(b"+OK\r\n", b"+OK\r\n"))
        target._address = parse_address(f"redis://u:pw@127.0.0.1:{slow.port}/2")
        with over_soon():
            target.connect()


ENTRY = b"*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
STREAM = (b":0\r\n", b"*0\r\n", b"*2\r\n$1\r\n1\r\n$1\r\n0\r\n", b":1\r\n", ENTRY, ENTRY, b"*0\r\n")
"""Nothing in the list, and an entry in the stream, whose groups are asked for in a second step."""


@pytest.mark.parametrize(
    "handle", [dripping(begin=b":"), dawdling(*STREAM)], ids=["a byte at a time", "a step at a time"]
)
def test_a_look_has_one_deadline(scripted, handle) -> None:
    probe = RedisProbe(parse_address(scripted(handle).url), queues_of(JOBS))
    begun = time.monotonic()
    with pytest.raises(TargetError), contextlib.closing(probe):
        probe.look()
    assert time.monotonic() - begun < 2.0


def test_a_shared_limit_has_one_deadline(scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plg.targets.shared_limit._TIMEOUT", PATIENCE)
    where = SimpleNamespace(address=parse_address(scripted(dripping(begin=b":")).url), cluster=None)
    shared = SharedLimit(where, "run", 1, 2, 100)  # type: ignore[arg-type]
    with over_soon(), contextlib.closing(shared):
        shared.begin(10.0)


def test_a_name_that_nobody_answers_for_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    real = socket.getaddrinfo

    def resolver(host, *rest):
        if not rest[-1] & socket.AI_NUMERICHOST:
            answer.wait(30)
        return real(host, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with over_soon():
        open_target("redis://far.example", JOBS, connect_timeout=PATIENCE)
    answer.set()


def test_an_address_is_not_looked_up_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    assert look_up("127.0.0.1", 6379, 1.0)[0][4] == ("127.0.0.1", 6379)


def test_names_that_cannot_be_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no.such.host.invalid", "x" * 70 + ".invalid"):
        with pytest.raises(TargetError, match="check the name of the host") as refusal:
            open_target(f"redis://{name}", JOBS)
        assert refusal.value.kind == "unreachable"


@pytest.mark.parametrize("name", ["a\0b", "x" * 70, ".a", "a..b", "a\nb", "\udcff"])
def test_a_cluster_may_name_what_is_no_name(name: str) -> None:
    begun = time.monotonic()
    with pytest.raises(socket.gaierror):
        look_up(name, 6379, 5.0)
    assert time.monotonic() - begun < 4.0


def test_an_address_that_swallows_everything_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as ends:
        full = ends.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # its queue is full: the system drops what else comes
            waiting = ends.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        door = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place.getsockname()) for place in (full, door)]
        monkeypatch.setattr(dialing, "look_up", lambda host, port, seconds: found)
        deadline = Deadline()
        deadline.set(1.0)
        begun = time.monotonic()
        with dial("both.example", 0, parse_address("redis://both.example"), deadline) as connected:
            assert connected.getpeername() == door.getsockname()
        assert 0.3 < time.monotonic() - begun < 1.0


def test_a_server_that_is_quick_enough_is_let_be(scripted) -> None:
    """The same steps, each a tenth as long: what it does not know it need not."""
    server = scripted(dawdling(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n", pause=0.06 * PATIENCE))
    open_target(f"redis://user:pw@127.0.0.1:{server.port}/1", JOBS, connect_timeout=PATIENCE).close()
