"""Limits that hang on looks at the queues, where nobody may look: refused before the run, or its end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.clusters import RealCluster
from support.real_servers import launcher, server_programs

DEPTH, AGE = "max_queue_depth 30_000", "max_queue_age 30s"
BLIND = [("queue", "llen"), ("queue", "lindex"), ("stream", "xinfo")]


@pytest.fixture(scope="module")
def programs():
    found = [path for path in reversed(server_programs().values()) if path]
    if not found:
        pytest.skip("no server program on this machine")
    return found


@pytest.fixture
def start():
    yield from launcher()


@pytest.fixture
def server(programs, start):
    return start(programs[0])


def grant(server, *rights: str) -> str:
    """The URL of a user who may do all but ``rights``."""
    assert server.ask("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", *rights) == b"+OK\r\n"
    return server.url("app:pw")


def check(
    folder: Path, url: str, limits: str, *, queue="queue", duration="1s", expect="", more=""
) -> tuple[int, str, dict]:
    text = (
        f'scenario "blind" {{ {more} job work {{ {queue} "work" }} traffic {{ steady 100/s over {duration} }}\n'
        f"  guardrails {{ max_rate 500/s max_total_jobs 20_000 max_duration 1m {limits} }}\n"
        f"  expect {{ errors == 0 {expect} }} }}"
    )
    (folder / "blind.plg").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "plg", "check", "blind.plg", "--target", url, "--reports", "junit,json"]
    for _ in range(3):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 5:  # else the machine was too busy for the schedule
            break
    outcome = json.loads((folder / "plg-report" / "blind.outcome.json").read_text())
    return done.returncode, done.stdout + done.stderr, outcome


@pytest.mark.parametrize(
    ("queue", "denied", "limits", "named"),
    [
        *((*blind, DEPTH, "max_queue_depth") for blind in BLIND),
        *((*blind, AGE, "max_queue_age") for blind in (*BLIND, ("stream", "xpending"))),
    ],
)
def test_a_limit_that_may_not_be_looked_at_is_refused_before_the_run(tmp_path, server, queue, denied, limits, named):
    """Also where the question would come only later: a stream that is empty has no groups to ask for."""
    code, told, outcome = check(tmp_path, grant(server, f"-{denied}"), limits, queue=queue)
    assert code == 6, told
    assert f"{named} cannot be held: " in outcome["reason"]
    assert "NOPERM" in outcome["reason"]
    assert denied in outcome["reason"]
    assert server.number("EXISTS", "work") == 0


@pytest.mark.parametrize(("queue", "denied"), [("queue", "llen"), ("stream", "xinfo")])
def test_without_such_a_limit_the_run_goes_on_and_says_what_has_no_data(tmp_path, server, queue, denied):
    url = grant(server, f"-{denied}")
    code, told, outcome = check(tmp_path, url, "", queue=queue, expect="queue_depth < 1_000")
    assert code == 3, told
    assert [line["verdict"] for line in outcome["expectations"]] == ["pass", "no_data"]
    assert any("depth and age of the queues cannot be seen" in remark for remark in outcome["warnings"])
    assert outcome["ledger"]["acked"] == 100
    code, told, _ = check(tmp_path, url, "", queue=queue)
    assert code == 0, told


def test_what_hides_an_age_alone_hides_no_depth(tmp_path, server):
    """Of jobs that a consumer group has been given, XPENDING tells the age, and XINFO GROUPS their number."""
    url = grant(server, "-xpending")

    def take() -> None:
        server.ask("XGROUP", "CREATE", "work", "others", "0")
        server.ask("XREADGROUP", "GROUP", "others", "one", "COUNT", "10", "STREAMS", "work", ">", many=True)

    waiting = when_it_sends(server, take)
    lines = "queue_depth < 1_000  max(queue_depth) > 50  queue_age < 1m"
    code, told, outcome = check(tmp_path, url, DEPTH, queue="stream", expect=lines, more="watch 200ms")
    waiting.join()
    assert code == 3, told
    assert [line["verdict"] for line in outcome["expectations"]] == ["pass", "pass", "pass", "no_data"]
    [remark] = [each for each in outcome["warnings"] if "cannot be seen" in each]
    assert remark.startswith("the age of jobs that a worker has been given and not acknowledged cannot be seen")
    assert "xpending" in remark
    assert "depth" not in remark


def when_it_sends(server, do, after: float = 0.3) -> threading.Thread:
    """``do`` once jobs lie in the queue and some time has passed."""

    def wait():
        until = time.monotonic() + 20
        while not server.number("EXISTS", "work") and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(after)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_looks_that_fail_for_a_second_stop_a_run_with_a_limit(tmp_path, server):
    url = grant(server)
    waiting = when_it_sends(server, lambda: grant(server, "-llen"))
    code, told, outcome = check(tmp_path, url, DEPTH, duration="8s", expect="queue_depth < 20_000")
    waiting.join()
    assert code == 4, told
    assert outcome["verdict"] == "stopped"
    assert outcome["reason"].startswith("stopped by max_queue_depth at 1.")
    assert "the queues could not be seen for 1" in outcome["reason"]
    assert "NOPERM" in outcome["reason"]
    assert 1.1 < outcome["duration_s"] < 2.2, "a second and what it takes to notice"
    assert outcome["expectations"][1]["verdict"] == "no_data"


def test_looks_that_fail_for_a_moment_stop_nothing(tmp_path, server):
    url = grant(server)
    waiting = when_it_sends(server, lambda: (grant(server, "-llen"), time.sleep(0.5), grant(server)))
    code, told, outcome = check(tmp_path, url, DEPTH, duration="3s")
    waiting.join()
    assert code == 0, told
    assert outcome["ledger"]["acked"] == 300


def test_with_stopping_off_the_run_goes_on_and_the_report_says_it(tmp_path, server):
    url = grant(server)
    waiting = when_it_sends(server, lambda: grant(server, "-llen"))
    code, told, outcome = check(tmp_path, url, f"emergency_stop off {DEPTH}", duration="2500ms")
    waiting.join()
    assert code == 0, told
    [remark] = [each for each in outcome["warnings"] if each.startswith("max_queue_depth did not hold all the time: ")]
    assert "looks at the queues failed" in remark


def test_an_age_that_cannot_be_told_at_the_start_is_refused(tmp_path, server):
    server.ask("LPUSH", "work", "from somebody, some time")
    code, told, outcome = check(tmp_path, grant(server), AGE)
    assert code == 6, told
    assert "the oldest of the jobs that wait before the run does not say when it was enqueued" in outcome["reason"]
    assert server.number("LLEN", "work") == 1


def test_each_node_of_a_cluster_is_asked(tmp_path, programs, start):
    cluster = RealCluster(start, programs[0])
    for node in cluster.nodes:
        grant(node)
    url = cluster.nodes[0].url("app:pw")
    assert check(tmp_path, url, DEPTH, queue="stream")[0] == 0
    grant(cluster.nodes[cluster.place("work")], "-xinfo")
    code, told, outcome = check(tmp_path, url, DEPTH, queue="stream")
    assert code == 6, told
    assert "max_queue_depth cannot be held" in outcome["reason"]
