"""Every route and the stream ask who is calling, and hold each role to what it may."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.plg_server import BASE, Server, document
from websockets.exceptions import ConnectionClosed

from plg.access.audit import AuditLog
from plg.access.tokens import Tokens
from plg.access.verifying import verify
from plg.server.routes import ROUTES

pytestmark = pytest.mark.slow
READS = ("viewer", "operator", "author", "admin")
OPERATES = READS[1:]
WRITES = READS[2:]
MAY = {
    f"POST {BASE}/patterns/start": OPERATES,
    f"POST {BASE}/patterns/plan": READS,
    f"GET {BASE}/patterns": READS,
    f"GET {BASE}/patterns/{{test_id}}/status": READS,
    f"POST {BASE}/patterns/{{test_id}}/stop": OPERATES,
    f"GET {BASE}/patterns/{{test_id}}/metrics": READS,
    **{
        f"GET {BASE}/patterns/{{test_id}}/{name}": READS
        for name in ("report.html", "junit.xml", "outcome.json", "scenario.yaml")
    },
    **{f"{method} {BASE}/profiles": may for method, may in (("GET", READS), ("POST", WRITES))},
    f"POST {BASE}/profiles/import": WRITES,
    f"GET {BASE}/profiles/{{profile_id}}": READS,
    f"PUT {BASE}/profiles/{{profile_id}}": WRITES,
    f"DELETE {BASE}/profiles/{{profile_id}}": WRITES,
    f"POST {BASE}/profiles/{{profile_id}}/run": OPERATES,
    f"GET {BASE}/profiles/{{profile_id}}/versions": READS,
    f"GET {BASE}/profiles/{{profile_id}}/versions/{{version}}": READS,
    f"GET {BASE}/profiles/{{profile_id}}/export": READS,
    f"POST {BASE}/profiles/{{profile_id}}/share": WRITES,
    f"GET {BASE}/audit": ("admin",),
    f"GET {BASE}/policy": ("admin",),
    "GET /metrics": READS,
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /sign-in": None,
}
"""Who may what, written down a second time; None: everybody."""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    data = tmp_path_factory.mktemp("access")
    return data, {role: Tokens(data).create(f"the-{role}", role)[0] for role in READS}


@pytest.fixture(scope="module")
def guarded(tokens: tuple[Path, dict[str, str]]) -> Any:
    server = Server(tokens[0])
    yield server
    server.end()


def test_every_route_is_written_down_here() -> None:
    assert {f"{route.method} {route.path}" for route in ROUTES} == set(MAY)


@pytest.mark.parametrize("route", sorted(MAY))
def test_a_route_lets_in_whom_it_should(guarded: Server, tokens: tuple[Path, dict[str, str]], route: str) -> None:
    method, path = re.sub(r"{\w+}", "1", route).split()
    for role in (None, *READS):
        given = {} if role is None else {"Authorization": f"Bearer {tokens[1][role]}"}
        answer = guarded.ask(
            method, path, b"{" if method in ("POST", "PUT") and not path.endswith("/stop") else None, **given
        )
        may = MAY[route]
        if may is None:
            assert answer.status != 403
        elif role is None:
            assert (answer.status, answer.json["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        elif role not in may:
            assert (answer.status, answer.json["code"]) == (403, "forbidden")
        else:
            assert answer.status not in (401, 403), answer.body


def test_the_stream_asks_too(guarded: Server, redis_server: Any, tokens: tuple[Path, dict[str, str]]) -> None:
    admin = {"Authorization": f"Bearer {tokens[1]['admin']}"}
    test_id = guarded.start_test(document(redis_server, "access"), **admin)
    with guarded.stream(test_id) as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
        assert socket.close_code == 4401
    with guarded.stream(test_id, subprotocols=[f"plg.token.{tokens[1]['viewer']}"]) as socket:
        assert json.loads(socket.recv(timeout=30))["seq"] >= 1
    with guarded.stream(test_id, additional_headers={"Authorization": f"Bearer {tokens[1]['viewer']}"}) as socket:
        assert json.loads(socket.recv(timeout=30))["seq"] >= 1
    while guarded.ask("GET", f"{BASE}/patterns/{test_id}/status", **admin).json["verdict"] is None:
        pass


def test_what_was_done_is_in_the_log(guarded: Server, redis_server: Any, tokens: tuple[Path, dict[str, str]]) -> None:
    given = {role: {"Authorization": f"Bearer {tokens[1][role]}"} for role in READS}
    test_id = guarded.start_test(
        document(redis_server, "audited", pattern={"type": "steady", "base_rate": 5, "duration": "50s"}),
        **given["operator"],
    )
    assert guarded.ask("POST", f"{BASE}/patterns/{test_id}/stop", **given["author"]).status == 202
    refused = document(redis_server, "q", target="redis://192.0.2.7:6379/0")
    assert guarded.ask("POST", f"{BASE}/patterns/start", refused, **given["operator"]).status == 403
    assert guarded.ask("GET", f"{BASE}/patterns", Authorization="Bearer plg_nonsense").status == 401
    while guarded.ask("GET", f"{BASE}/patterns/{test_id}/status", **given["viewer"]).json["verdict"] is None:
        pass
    found = guarded.ask("GET", f"{BASE}/audit?limit=500", **given["admin"]).json["items"]
    told = [(each["event"], each["who"]) for each in found if each["what"].get("test") in (test_id, None)]
    assert ("test.start", "the-operator") in told
    assert ("test.stop", "the-author") in told
    assert ("test.refused", "the-operator") in told
    assert "sign_in.failed" in {event for event, _ in told}
    assert not verify(AuditLog(guarded.data, next((guarded.data / "anchors").iterdir()))).faults


def test_a_server_that_others_reach_needs_tokens_and_tls(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "plg", "serve", "--port", "0", "--host", "0.0.0.0", "--data", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "needs a token" in ran.stderr) == (2, True), ran.stderr
    Tokens(tmp_path).create("a", "admin")
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "needs TLS" in ran.stderr) == (2, True), ran.stderr


def test_the_link_signs_in_once(serve: Callable[..., Server]) -> None:
    server = serve()
    assert server.process.stdout is not None
    link = server.process.stdout.readline().decode().partition("sign in once at ")[2].strip()
    path = "/" + link.split("/", 3)[3]
    first = server.ask("GET", path)
    cookie = first.headers["set-cookie"].lower()
    assert first.status == 303
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert server.ask("GET", path).status == 401
