"""The benchmark of queue formats: plg's part is run for each format, and its goals are judged by the figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.real_servers import free_port

import bench.queues
from bench.contests import medians, most
from bench.entrants import plg
from bench.queues.__main__ import goals, table
from bench.queues.clients import CLIENTS, MANY, ONE, Client
from bench.server import machine, private_server
from plg.queues.registry import SHIPPED

KINDS = [client.kind for client in CLIENTS]


def test_every_framework_has_its_own_client():
    assert set(KINDS) == set(SHIPPED) - {"list", "stream"}


@pytest.mark.parametrize("kind", KINDS)
def test_plg_fills_the_queue_of_the_framework(kind):
    with private_server(free_port()) as server:
        figures = most(server, plg(1e6, 0.002, "--kind", kind, "--queue", "bench"))
        assert figures["jobs"] == 2000
        assert figures["jobs_s"] > 0
        assert b"bench" in server.ask(b"KEYS", b"*bench*")


def test_its_own_client_is_asked_in_both_ways():
    script = "import json, sys; print(json.dumps({'jobs': sys.argv[2], 'many': sys.argv[3] == 'many'}))"
    client = Client("echo", "one", "many", lambda: None, lambda: [sys.executable, "-c", script], lambda: ["echo", "7"])
    with private_server() as server:
        for way in (ONE, MANY):
            assert client.entry(3, way)(server) == {"jobs": 3.0, "many": float(way == MANY)}
    assert client.version() == "7"


def figures(**values: float) -> dict[str, dict[str, float]]:
    return medians([{"jobs": 1000.0, "wall_s": 1.0, "cpu_s": 0.1, **values}])


def test_goals_and_table_say_what_was_found():
    fast = figures(jobs_s=300_000.0, server_us_job=0.5)
    found = {
        "celery": {
            "apply_async, one at a time": figures(jobs_s=2000.0, server_us_job=40.0),
            "plg": fast, "plg, 10,000/s": figures(lag_p99_ms=1.2),
        },
        "bullmq": {
            "add, one at a time": figures(jobs_s=5000.0, server_us_job=40.0),
            "plg": figures(jobs_s=40_000.0, server_us_job=4.0), "plg, 10,000/s": figures(lag_p99_ms=2.5),
        },
    }  # fmt: skip
    judged = goals(found)
    assert [(goal.text, goal.met) for goal in judged] == [
        ("celery: plg over a call a job", True), ("celery: jobs a second", True),
        ("celery: p99 lag at 10,000/s, ms", True), ("bullmq: jobs a second", False),
        ("bullmq: p99 lag at 10,000/s, ms", False),
    ]  # fmt: skip
    results = {
        "started_at": "now", "machine": machine(), "server": "Redis", "rounds": 1, "load_before": 0, "load_after": 0,
        "frameworks": found, "skipped": {"asynq": "needs go"},
        "versions": {"celery": "5"}, "goals": [vars(g) | {"met": g.met} for g in judged],
    }  # fmt: skip
    page = table(results)
    assert "| celery | apply_async, one at a time | 1,000 | 150.0 times | 100.00 | 40.00 |  |" in page
    assert "| bullmq: jobs a second | ≥ 50,000 | 4e+04 | **missed** |" in page
    assert "- asynq: needs go" in page
    assert "- celery: 5" in page


def test_the_page_is_of_the_results_that_lie_beside_it():
    folder = Path(bench.queues.__file__).parent
    results = json.loads((folder / "results.json").read_text())
    assert (folder / "table.md").read_text() == table(results)


def test_the_readme_says_what_the_results_say():
    told = json.loads((Path(bench.queues.__file__).parent / "results.json").read_text())["frameworks"]
    ratios = [each["plg"]["jobs_s"]["median"] / next(iter(each.values()))["jobs_s"]["median"] for each in told.values()]
    readme = " ".join((Path(bench.queues.__file__).parents[2] / "README.md").read_text().split())
    assert f"{min(ratios):.0f} to {max(ratios):.0f} times as fast as their own clients do with a call a job" in readme
    lag = max(each["plg, 10,000/s"]["lag_p99_ms"]["median"] for each in told.values())
    assert f"with a p99 lag of at most {lag:.2f} ms" in readme
