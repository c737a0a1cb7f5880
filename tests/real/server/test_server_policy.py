"""The rules of a policy hold for who posts a test by the role of the token, and for all tests of a server together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.checked import until
from support.plg_server import BASE, Server, document

from plg.access.tokens import Tokens

POLICY = """
budget: 150/s
environments:
  - {name: here, hosts: [localhost], admin_only: 120/s}
  - {name: elsewhere, hosts: ["*"], allow: false}
users:
  - {name: programs, roles: [operator], max_tests: 1}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, dict[str, str]]]]:
    data: Path = tmp_path_factory.mktemp("policy")
    (data / "rules.yaml").write_text(POLICY)
    roles = ("operator", "author", "admin")
    given = {role: {"Authorization": f"Bearer {Tokens(data).create(f'the-{role}', role)[0]}"} for role in roles}
    found = Server(data, ("--policy", str(data / "rules.yaml")))
    yield found, given
    found.end()


def test_roles_rates_and_numbers_are_those_of_the_policy(server: Any, redis_server: Any) -> None:
    served, given = server

    def post(role: str, rate: int) -> Any:
        pattern = {"type": "steady", "base_rate": rate, "duration": "50s"}
        body = document(redis_server, f"{role}-{rate}", pattern=pattern)
        return served.ask("POST", f"{BASE}/patterns/start", body, **given[role])

    def ended(test_id: str) -> bool:
        report = served.ask("GET", f"{BASE}/patterns/{test_id}/status", **given["admin"]).json
        return report["verdict"] is not None

    refused = post("author", 125)
    assert (refused.status, "admins alone send more than 120/s" in refused.body.decode()) == (403, True)
    first = post("admin", 125)
    assert first.status == 202, first.body
    full = post("operator", 100)
    assert (full.status, full.json["code"], "retry-after" in full.headers) == (429, "too-many-tests", True)
    assert "the tests that run leave 25/s of the budget of 150/s" in full.json["detail"]
    second = post("operator", 20)
    assert second.status == 202, second.body
    again = post("operator", 2)
    assert (again.status, "1 test of the-operator already run" in again.json["detail"]) == (429, True)
    third = post("author", 2)
    assert third.status == 202, third.body
    tests = [answer.json["test_id"] for answer in (first, second, third)]
    for test_id in tests:
        assert served.ask("POST", f"{BASE}/patterns/{test_id}/stop", **given["operator"]).status == 202
    until(lambda: all(map(ended, tests)), 60)
    after = post("operator", 100)
    assert after.status == 202, after.body
    served.ask("POST", f"{BASE}/patterns/{after.json['test_id']}/stop", **given["operator"])
    until(lambda: ended(after.json["test_id"]), 60)
