"""Tests that are started, watched and stopped over REST do to Redis what the server says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis
from support.plg_server import BASE, SOUND, Server, document

LONG = {"pattern": {"type": "steady", "base_rate": 50, "duration": "50s"}}


@pytest.fixture(scope="module")
def ended(plg_server: Server, redis_server: Any) -> str:
    """A test that has ended."""
    test_id = plg_server.start_test(document(redis_server, "ended"))
    plg_server.ended(test_id)
    return test_id


def held(redis: Any, queue: str) -> list[int]:
    client = Redis(port=redis.port)
    try:
        return sorted(json.loads(job)["seq"] for job in client.lrange(queue, 0, -1))
    finally:
        client.close()


def test_the_first_line_says_where(plg_server: Server) -> None:
    assert plg_server.first_line == f"plg serve: http://127.0.0.1:{plg_server.port}/\n"


def test_what_was_started_is_in_redis_and_in_the_status(plg_server: Server, redis_server: Any, ended: str) -> None:
    found = plg_server.status(ended)
    assert found["status"] == "completed"
    assert found["verdict"] in SOUND
    assert len(held(redis_server, "ended")) == found["ledger"]["acked"] > 0
    assert found["ledger"]["planned"] == found["ledger"]["acked"] + found["ledger"]["late"]
    assert found["expectations"][0]["text"] == "errors == 0"
    assert found["expectations"][0]["verdict"] == "pass", found["reason"]


@pytest.mark.parametrize(
    ("name", "begins"),
    [("report.html", b"<!"), ("junit.xml", b"<?xml"), ("outcome.json", b"{"), ("scenario.yaml", b"name: sale")],
)
def test_the_artifacts_are_those_of_the_run(plg_server: Server, ended: str, name: str, begins: bytes) -> None:
    answer = plg_server.ask("GET", f"{BASE}/patterns/{ended}/{name}")
    assert answer.status == 200, answer.body
    assert answer.body.startswith(begins)
    if name == "outcome.json":
        assert answer.json["run_id"] == ended
        assert answer.json["ledger"] == plg_server.status(ended)["ledger"]


def test_a_stop_ends_the_run_and_the_outcome_says_whose_it_was(plg_server: Server, redis_server: Any) -> None:
    test_id = plg_server.start_test(document(redis_server, "stopped", **LONG))
    plg_server.until(test_id, lambda s: s["ledger"]["acked"] > 0)
    path = f"{BASE}/patterns/{test_id}/stop"
    assert [plg_server.ask("POST", path).status for _ in range(2)] == [202, 200]
    found = plg_server.ended(test_id)
    assert (found["status"], found["stopped_by"]) == ("stopped", "local")
    assert "local" in found["reason"]
    assert plg_server.ask("POST", path).status == 409
    ledger = found["ledger"]
    assert len(held(redis_server, "stopped")) == ledger["acked"]
    assert ledger["planned"] == ledger["sent"] + ledger["shed"] + ledger["late"] + ledger["cancelled"]
    assert ledger["cancelled"] > 0


def test_a_plan_sends_nothing(plg_server: Server, redis_server: Any) -> None:
    answer = plg_server.ask("POST", f"{BASE}/patterns/plan", {"scenario": document(redis_server, "planned")})
    assert answer.status == 200, answer.body
    assert answer.json["planned"] == 300
    curve = answer.json["curve"]
    assert sum(curve["target"]) / len(curve["target"]) == pytest.approx(100)
    assert held(redis_server, "planned") == []


def test_a_scenario_may_be_posted_as_text(plg_server: Server) -> None:
    text = (
        'scenario "text" { target embedded traffic { steady 10/s over 200ms } '
        "guardrails { max_rate 20/s max_total_jobs 9 max_duration 5s } }"
    )
    found = plg_server.ended(plg_server.start_test({"plg": text}))
    assert (found["name"], found["ledger"]["planned"]) == ("text", 2)


def test_one_key_starts_one_test(plg_server: Server, redis_server: Any) -> None:
    body = document(redis_server, "once", name="once")
    first, second = (plg_server.start_test(body, Idempotency_Key="abc") for _ in range(2))
    assert first == second
    assert plg_server.ask("POST", f"{BASE}/patterns/start", {**body, "name": "b"}, Idempotency_Key="abc").status == 422
    acked = plg_server.ended(first)["ledger"]["acked"]
    assert len(held(redis_server, "once")) == acked > 0


def test_the_list_goes_on_where_it_was_left(plg_server: Server, ended: str) -> None:
    seen: list[str] = []
    path = f"{BASE}/patterns?limit=1"
    while True:
        page = plg_server.ask("GET", path).json
        seen += [item["test_id"] for item in page["items"]]
        if page["next"] is None:
            break
        path = f"{BASE}/patterns?limit=1&cursor={page['next']}"
    assert ended in seen
    assert len(seen) == len(set(seen))
    assert seen == [item["test_id"] for item in plg_server.ask("GET", f"{BASE}/patterns?limit=500").json["items"]]


def test_the_curves_add_up_to_the_jobs(plg_server: Server, ended: str) -> None:
    for resolution, rows in (("0.1", 15), ("1", 2), ("10", 1)):
        found = plg_server.ask("GET", f"{BASE}/patterns/{ended}/metrics?resolution={resolution}").json
        assert len(found["series"]["t"]) >= rows
        assert found["series"]["t"] == sorted(found["series"]["t"])
    assert max(found["max"]["target"]) == pytest.approx(100, rel=0.2)
    assert found["ledger"] == plg_server.status(ended)["ledger"]


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/patterns/start", b"{", 400, "bad-json"),
    ("POST", "/patterns/start", b"[]", 400, "bad-json"),
    ("POST", "/patterns/start", b"x" * (5 * 2**20), 413, "too-large"),
    ("POST", "/patterns/start", {"plg": "scenario"}, 422, "syntax"),
    ("POST", "/patterns/start", {"plg": 'scenario "x" {}', "colour": 1}, 422, "unknown-key"),
    ("POST", "/patterns/start", {"name": "x", "colour": 1}, 422, ""),
    ("GET", "/patterns/none/status", None, 404, "unknown-test"),
    ("POST", "/patterns/none/stop", None, 404, "unknown-test"),
    ("GET", "/patterns?limit=0", None, 422, "bad-query"),
    ("GET", "/patterns?cursor=none", None, 422, "bad-query"),
    ("GET", "/nothing", None, 404, "unknown-path"),
    ("DELETE", "/patterns", None, 405, "method"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSED)
def test_every_error_is_a_problem(
    plg_server: Server, method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = plg_server.ask(method, BASE + path, body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body
    found = answer.json
    assert set(found) == {"type", "title", "status", "detail", "code", "faults"}
    assert code in ("", found["code"])
    if status == 422 and method == "POST":
        assert set(found["faults"][0]) == {"code", "message", "help", "path", "line", "column"}


def test_a_body_of_another_type_is_refused(plg_server: Server) -> None:
    assert plg_server.ask("POST", f"{BASE}/patterns/start", b"{}", Content_Type="text/plain").status == 415


def test_a_fault_stands_where_it_was_posted(plg_server: Server, redis_server: Any) -> None:
    body = {"scenario": document(redis_server, "q", guardrails={"max_rate": "5/fortnight"})}
    [fault, *_] = plg_server.ask("POST", f"{BASE}/patterns/plan", body).json["faults"]
    assert fault["path"][:2] == ["scenario", "guardrails"]
    text = 'scenario "x" {\n  traffic { steady 5/fortnight over 1s }\n}\n'
    faults = plg_server.ask("POST", f"{BASE}/patterns/plan", {"plg": text}).json["faults"]
    assert (2, 20) in [(each["line"], each["column"]) for each in faults]


SEES: list[tuple[dict[str, Any], int]] = [
    ({"target": {"url": {"env": "REDIS_URL"}}}, 422),
    ({"params": {"who": {"env": "SERVER_SECRET"}}}, 422),
    ({"data": {"users": "../../../etc/passwd"}}, 422),
    ({"data": {"users": "pyproject.toml"}}, 422),
    ({"pattern": {"type": "replay", "file": "README.md"}}, 422),
    ({"target": "unix:///tmp/some.sock"}, 403),
    ({"target": "rediss://127.0.0.1:1/0?ssl_ca_certs=/etc/passwd"}, 403),
    ({"target": "redis://192.0.2.7:6379/0"}, 403),
    ({"target": "redis://example.com:6379/0"}, 403),
    ({"target": "fake"}, 403),
]


@pytest.mark.parametrize(("more", "status"), SEES)
def test_a_posted_document_sees_nothing_of_the_server(
    plg_server: Server, redis_server: Any, more: dict[str, Any], status: int
) -> None:
    for path in ("start", "plan"):
        answer = plg_server.ask("POST", f"{BASE}/patterns/{path}", document(redis_server, "q", **more))
        assert answer.status == status, answer.body
        assert b"canary" not in answer.body
        assert b"root:" not in answer.body


def test_a_table_is_read_where_it_is_posted_too(plg_server: Server, redis_server: Any) -> None:
    jobs = [{"name": "job", "queue": "table", "payload": {"to": "${users.email}"}}]
    body = {
        "scenario": document(redis_server, "table", data={"users": "users.csv"}, jobs=jobs),
        "files": {"users.csv": "email\nann@example.com\n"},
    }
    plg_server.ended(plg_server.start_test(body))
    client = Redis(port=redis_server.port)
    assert json.loads(client.lindex("table", 0))["payload"] == {"to": "ann@example.com"}
    client.close()


@pytest.mark.parametrize("path", ["/healthz", f"{BASE}/patterns", "/openapi.json", "/metrics"])
def test_a_page_of_another_site_cannot_use_it(plg_server: Server, path: str) -> None:
    assert plg_server.ask("GET", path, Host="evil.example:80").status == 421
    assert plg_server.ask("GET", path, Origin="http://evil.example").status == 403
    assert plg_server.ask("GET", path, Origin="null").status == 403
    assert plg_server.ask("GET", path, Origin=f"http://127.0.0.1:{plg_server.port}").status == 200


def test_figures_for_prometheus_count_what_was_sent(plg_server: Server, ended: str) -> None:
    lines = plg_server.ask("GET", "/metrics").body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    found = plg_server.status(ended)
    assert float(values['plg_jobs_total{outcome="acked"}']) >= found["ledger"]["acked"] > 0
    assert float(values[f'plg_tests_total{{verdict="{found["verdict"]}"}}']) >= 1
