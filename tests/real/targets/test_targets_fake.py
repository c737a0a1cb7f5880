"""The embedded server and the fake are the same to whoever uses them."""

from __future__ import annotations

import importlib.util
import json
import sys
import time

import pytest

from plg.queues.base import Job, Queue
from plg.targets.base import TargetError
from plg.targets.open import open_target

JOBS = (Job("a", queue=Queue("list", "orders")), Job("b", queue=Queue("stream", "events")))


def command(*words) -> bytes:
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


@pytest.fixture(params=["embedded", "fake"])
def target(request):
    if request.param == "fake" and importlib.util.find_spec("fakeredis") is None:
        pytest.skip("fakeredis is not installed")
    if request.param == "embedded":
        request.getfixturevalue("any_binary")
    with open_target(request.param, JOBS) as opened:
        yield opened


def test_the_same_wire(target):
    assert target.server.kind in ("embedded", "fake")
    assert target.server.version[:1].isdigit()
    probe = target.probe()
    assert probe.look().waiting == 0
    raw = target.connect()
    raw.settimeout(5)
    stamp = time.time() - 5
    batch = b"".join(command("LPUSH", "orders", json.dumps({"seq": i, "enqueued_at": stamp + i})) for i in range(3))
    raw.sendall(batch + command("XADD", "events", "*", "job", "x"))
    answers = b""
    while answers.count(b"\r\n") < 4:
        answers += raw.recv(4096)
    assert answers.startswith(b":1\r\n:2\r\n:3\r\n")
    seen = probe.look()
    assert seen.waiting == 4
    assert seen.oldest_age == pytest.approx(5.0, abs=1.0)
    raw.sendall(command("BRPOP", "orders", "1"))
    answer = b""
    while not answer.endswith(b"}\r\n"):
        answer += raw.recv(4096)
    assert json.loads(answer.split(b"\r\n")[-2])["seq"] == 0
    assert probe.look().waiting == 3
    raw.close()
    probe.close()


def test_groups_of_a_stream(target):
    raw = target.connect()
    raw.settimeout(5)
    for words in (("XADD", "events", "*", "job", "x"), ("XADD", "events", "*", "job", "y"),
                  ("XGROUP", "CREATE", "events", "g", "0")):  # fmt: skip
        raw.sendall(command(*words))
        assert raw.recv(256)
    probe = target.probe()
    assert probe.look().waiting == 2
    raw.sendall(command("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "events", ">"))
    answer = raw.recv(4096)
    assert probe.look().waiting == 2
    entry = next(part for part in answer.split(b"\r\n") if b"-" in part and part[:1].isdigit())
    raw.sendall(command("XACK", "events", "g", entry))
    assert raw.recv(64) == b":1\r\n"
    assert probe.look().waiting == 1
    raw.close()
    probe.close()


def test_closing_twice_is_fine():
    with open_target("fake", JOBS) as target:
        target.close()


def test_without_fakeredis_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    with pytest.raises(TargetError, match="pip install fakeredis") as caught:
        open_target("fake", JOBS)
    assert caught.value.kind == "missing"
