"""How a server ends, and what the next one on its data folder knows."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from support.plg_server import BASE, SOUND, Server, document
from support.real_servers import gone_within

pytestmark = pytest.mark.slow
LONG = {"pattern": {"type": "steady", "base_rate": 50, "duration": "50s"}}


def held(redis: Any, queue: str) -> int:
    client = Redis(port=redis.port)
    try:
        return int(client.llen(queue))
    finally:
        client.close()


def pid_of(server: Server, test_id: str) -> int:
    return int(json.loads((server.data / "tests" / test_id / "test.json").read_text())["pid"])


def test_a_test_whose_server_is_killed_ends_itself_and_is_shown_by_the_next(
    serve: Callable[..., Server], redis_server: Any
) -> None:
    server = serve("--orphan-limit", "2s")
    long = server.start_test(document(redis_server, "orphan", **LONG))
    short = server.start_test(document(redis_server, "over"))
    for test_id in (long, short):
        server.until(test_id, lambda s: s["ledger"]["acked"] > 0)
    pid = pid_of(server, long)
    server.kill()
    time.sleep(0.2)
    os.kill(pid, 0)  # it goes on
    server.start()
    assert server.status(long)["status"] in ("running", "interrupted")
    assert gone_within(pid, 30) is not None
    found = server.ended(long)
    assert (found["status"], found["verdict"], found["exit_code"]) == ("interrupted", "interrupted", 143)
    assert held(redis_server, "orphan") == found["ledger"]["acked"] > 0
    assert found["ledger"]["cancelled"] > 0
    ended = server.ended(short)
    assert ended["status"] in ("completed", "interrupted")
    assert held(redis_server, "over") == ended["ledger"]["acked"]
    series = server.ask("GET", f"{BASE}/patterns/{long}/metrics").json["series"]
    # Its mean is 50/s; a machine that stands still is made up for at once.
    rates = [rate for rate in series["actual"] if rate is not None]
    assert rates
    assert max(rates) >= 25
    assert server.ask("GET", f"{BASE}/patterns/{long}/report.html").status == 200
    assert server.ask("POST", f"{BASE}/patterns/{long}/stop").status == 409


def test_a_server_that_is_told_to_end_ends_its_tests_first(serve: Callable[..., Server], redis_server: Any) -> None:
    server = serve()
    test_id = server.start_test(document(redis_server, "drained", **LONG))
    with server.stream(test_id) as socket:
        server.until(test_id, lambda s: s["ledger"]["acked"] > 0)
        assert server.end() == 0
        messages = [json.loads(text) for text in socket]
    assert messages[-1]["type"] == "completion"
    server.start()
    found = server.status(test_id)
    assert (found["status"], found["stopped_by"]) == ("stopped", "the server")
    assert held(redis_server, "drained") == found["ledger"]["acked"] > 0


def test_two_servers_never_share_a_folder(plg_server: Server) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "plg", "serve", "--port", "0", "--data", str(plg_server.data)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "another server uses the data folder" in ran.stderr


def test_more_tests_than_allowed_are_told_to_wait(serve: Callable[..., Server], redis_server: Any) -> None:
    server = serve("--max-tests", "1")
    first = server.start_test(document(redis_server, "one"))
    answer = server.ask("POST", f"{BASE}/patterns/start", document(redis_server, "two"))
    assert (answer.status, answer.json["code"]) == (429, "too-many-tests")
    assert int(answer.headers["retry-after"]) > 0
    assert server.ended(first)["verdict"] in SOUND
    server.ended(server.start_test(document(redis_server, "two")))
