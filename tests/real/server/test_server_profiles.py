"""Profiles are kept with their versions, run as tests, and changed only by whom they let."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.plg_server import BASE, Server, document

from plg.access.tokens import Tokens

pytestmark = pytest.mark.slow
PROFILES = f"{BASE}/profiles"


@pytest.fixture(scope="module")
def kept(plg_server: Server, redis_server: Any) -> Any:
    """A profile, and its answer."""
    params = {"pace": "100/s"}
    pattern = {"type": "steady", "base_rate": {"param": "pace"}, "duration": "1s"}
    body = {
        "name": "nightly", "tags": ["sale"], "metadata": {"environment": "staging"},
        "scenario": document(redis_server, "profiled", params=params, pattern=pattern),
    }  # fmt: skip
    answer = plg_server.ask("POST", PROFILES, body)
    assert answer.status == 201, answer.body
    assert answer.headers["location"] == f"{PROFILES}/{answer.json['id']}"
    return answer


def test_a_profile_is_found_again(plg_server: Server, kept: Any) -> None:
    found = plg_server.ask("GET", f"{PROFILES}/{kept.json['id']}")
    assert found.json == kept.json
    assert found.headers["etag"] == kept.headers["etag"]
    for query, there in (("tag=sale", True), ("tag=other", False), ("name=NIGHT", True), ("environment=staging", True)):
        names = [item["name"] for item in plg_server.ask("GET", f"{PROFILES}?{query}").json["items"]]
        assert ("nightly" in names) is there, query


def test_a_profile_is_run_with_other_params(plg_server: Server, redis_server: Any, kept: Any) -> None:
    answer = plg_server.ask("POST", f"{PROFILES}/{kept.json['id']}/run", {"overrides": {"pace": "40/s"}})
    assert answer.status == 202, answer.body
    assert (answer.json["profile_id"], answer.json["pattern"]["estimated_jobs"]) == (kept.json["id"], 40)
    acked = plg_server.ended(answer.json["test_id"])["ledger"]["acked"]
    client = Redis(port=redis_server.port)
    assert client.llen("profiled") == acked > 0
    client.close()
    refused = plg_server.ask("POST", f"{PROFILES}/{kept.json['id']}/run", {"target": "redis://192.0.2.7:6379/0"})
    assert refused.status == 403


def test_a_version_is_saved_only_over_the_one_that_was_seen(plg_server: Server, redis_server: Any) -> None:
    body = {"name": "versioned", "scenario": document(redis_server, "q")}
    first = plg_server.ask("POST", PROFILES, body)
    place, changed = f"{PROFILES}/{first.json['id']}", {**body, "description": "again"}
    second = plg_server.ask("PUT", place, changed, If_Match=first.headers["etag"])
    assert (second.status, second.json["version"]) == (200, 2)
    assert plg_server.ask("PUT", place, changed, If_Match=first.headers["etag"]).status == 412
    assert [each["version"] for each in plg_server.ask("GET", f"{place}/versions").json["items"]] == [2, 1]
    old = plg_server.ask("GET", f"{place}/versions/1")
    assert (old.status, old.json.get("description")) == (200, ""), old.body
    assert plg_server.ask("GET", f"{place}/versions/9").status == 404
    assert plg_server.ask("POST", PROFILES, body).status == 409
    exported = plg_server.ask("GET", f"{place}/export").json
    assert "redis://" not in str(exported), "a target is a secret"
    again = plg_server.ask("POST", f"{PROFILES}/import", exported)
    assert (again.status, again.json["version"]) == (201, 3), again.body
    assert plg_server.ask("DELETE", place, If_Match=second.headers["etag"]).status == 412
    assert plg_server.ask("DELETE", place, If_Match=again.headers["etag"]).status == 204
    assert plg_server.ask("GET", place).status == 404
    assert plg_server.ask("POST", f"{PROFILES}/import", exported).status == 422, "nobody knows its secrets any more"


@pytest.mark.parametrize(
    ("more", "status"),
    [({"scenario": {"name": "x"}}, 422), ({"colour": 1}, 422), ({"tags": "a"}, 422), ({"secret": ["params.x"]}, 422)],
)
def test_what_could_never_run_is_not_kept(
    plg_server: Server, redis_server: Any, more: dict[str, Any], status: int
) -> None:
    answer = plg_server.ask("POST", PROFILES, {"name": "bad", "scenario": document(redis_server, "q"), **more})
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body


def test_a_start_may_keep_what_it_started(plg_server: Server, redis_server: Any) -> None:
    body = document(redis_server, "keeping", save_profile=True, profile_name="kept on the way")
    del body["name"]
    answer = plg_server.ask("POST", f"{BASE}/patterns/start", body)
    assert answer.status == 202, answer.body
    found = plg_server.ask("GET", f"{PROFILES}/{answer.json['profile_id']}").json
    assert found["name"] == "kept on the way"
    assert found["scenario"]["pattern"] == body["pattern"]


def test_a_private_profile_is_seen_by_whom_it_is_shared_with(redis_server: Any, tmp_path: Path) -> None:
    token = {name: Tokens(tmp_path).create(name, role)[0] for name, role in (("ann", "author"), ("bob", "author"))}
    server = Server(tmp_path)
    try:
        ann, bob = ({"Authorization": f"Bearer {token[name]}"} for name in ("ann", "bob"))
        made = server.ask(
            "POST", PROFILES, {"name": "mine", "scenario": document(redis_server, "q"), "private": True}, **ann
        )
        place = f"{PROFILES}/{made.json['id']}"
        assert server.ask("GET", place, **bob).status == 404
        share = {"private": True, "grants": [{"kind": "user", "name": "bob", "may": "read"}]}
        assert server.ask("POST", f"{place}/share", share, **bob).status == 404
        assert server.ask("POST", f"{place}/share", share, **ann).status == 200
        assert server.ask("GET", place, **bob).status == 200
        body = {"name": "mine", "scenario": document(redis_server, "q")}
        assert server.ask("PUT", place, body, **bob).status == 403
        assert server.ask("DELETE", place, **bob).status == 403
    finally:
        server.end()
