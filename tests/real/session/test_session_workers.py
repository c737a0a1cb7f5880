"""plg's own workers beside the jobs of others: none is taken unasked, and none without a word."""

from __future__ import annotations

import json
import threading
from xml.etree import ElementTree

import pytest
from support.judged import expect
from support.session_runs import scenario

from plg import session
from plg.cli.main import main
from plg.judge import rejudge
from plg.notices import notices
from plg.outcome_io import from_json, to_json
from plg.prepare import Request, prepare
from plg.reports.github import annotate
from plg.reports.html import html
from plg.reports.junit import junit
from plg.reports.markdown import markdown
from plg.reports.terminal import summary

WORKERS = "workers 2 each 1ms"
HELD = "expect { errors == 0 }"
STREAM = 'job j { stream "s" payload { n: "${seq}" } }'
RAW = 'job j { queue "q" encoding raw payload { n: "${seq}" } }'


def texts(played) -> list[str]:
    return [notice["text"] for notice in json.loads(to_json(played.outcome))["notices"]]


def test_jobs_that_wait_are_not_taken(play, client):
    """A real queue with five jobs in it: nothing is sent, nothing taken, and the words say what to do."""
    client.lpush("q", *[f"real-{n}" for n in range(5)])
    outcome = play(scenario("steady 100/s over 300ms", WORKERS, HELD)).outcome
    assert (outcome.verdict, outcome.exit_code, outcome.ledger.sent) == ("error", 6, 0)
    assert client.lrange("q", 0, -1) == [b"real-%d" % n for n in (4, 3, 2, 1, 0)]
    assert "5 jobs wait in 'q' at unix://" in outcome.reason
    assert "and plg's own workers would take them (empty the queue, name another one" in outcome.reason
    assert "--force" in outcome.reason
    assert client.keys("*") == [b"q"], "nothing else was written"


def test_jobs_that_wait_in_a_stream_are_not_taken(play, client):
    client.xadd("s", {"job": "real"})
    outcome = play(scenario("steady 100/s over 300ms", WORKERS, HELD, jobs=STREAM)).outcome
    assert (outcome.exit_code, client.xlen("s"), client.xinfo_groups("s")) == (6, 1, [])
    assert "1 job waits in 's' at " in outcome.reason


def test_a_queue_that_may_not_be_seen_has_no_workers_of_plg(play, client, server):
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-llen")
    outcome = play(
        scenario("steady 100/s over 300ms", WORKERS, HELD), target=f"redis://app:pw@127.0.0.1:{server.port}/0"
    ).outcome
    assert (outcome.exit_code, outcome.ledger.sent) == (6, 0)
    assert "what waits in 'q' at" in outcome.reason
    assert "cannot be seen, and plg's own workers would take it (" in outcome.reason


def test_by_force_they_are_taken_and_counted(play, client):
    client.lpush("q", *[f"real-{n}" for n in range(5)])
    played = play(scenario("steady 100/s over 300ms", WORKERS, HELD), force=True)
    assert (played.outcome.exit_code, played.length("q")) == (0, 0)
    assert played.outcome.workers.foreign == 5
    assert texts(played)[0] == "plg's own workers took 5 jobs that were not of this run"


@pytest.mark.parametrize(
    ("job", "said"), [("", "1 job that was"), (RAW, "at least 1 job that was"), (STREAM, "1 job that was")]
)
def test_what_others_add_meanwhile_is_counted(play, client, job, said):
    def add() -> None:  # the workers are up
        client.xadd("s", {"job": "real"}) if job == STREAM else client.lpush("q", '{"id": "real"}')

    text = scenario("steady 50/s over 1s", WORKERS, "expect { drain_time < 5s }", **({"jobs": job} if job else {}))
    played = play(text, observer=session.Observer(before_start=add))
    assert texts(played)[0] == f"plg's own workers took {said} not of this run"


def test_of_a_stream_that_others_have_read_only_the_run_is_taken(play, client):
    """Its entries are still there, and those who read it have dealt with all of them."""
    for n in range(7):
        client.xadd("s", {"job": f"real-{n}"})
    client.xgroup_create("s", "theirs", "0")
    entries = client.xreadgroup("theirs", "me", {"s": ">"})[0][1]
    client.xack("s", "theirs", *[entry for entry, _ in entries])
    client.xgroup_destroy("s", "theirs")
    client.xgroup_create("s", "theirs", "$")
    played = play(scenario("steady 100/s over 300ms", WORKERS, HELD, jobs=STREAM))
    assert (played.outcome.workers.processed, played.outcome.workers.foreign) == (30, 0)
    assert not any("not of this run" in text for text in texts(played))


def test_a_second_run_finds_the_stream_of_the_first_and_takes_its_own_jobs(play):
    text = scenario("steady 100/s over 300ms", WORKERS, "expect { drain_time < 5s }", jobs=STREAM)
    for _ in range(2):
        played = play(text)
        assert (played.outcome.exit_code, played.outcome.workers.processed) == (0, 30)


def test_a_shard_that_comes_late_finds_jobs_of_its_own_run(play, client):
    client.lpush("q", '{"id":"both-3","run":"both","seq":3}')
    text = scenario("steady 100/s over 300ms", WORKERS, "expect { queue_depth < 100 }")
    played = play(text, shard=(1, 2), run_id="both")
    assert (played.outcome.exit_code, played.outcome.workers.processed, played.outcome.workers.foreign) == (0, 16, 0)


OWN = "the jobs were taken by plg's own 2 workers, not by yours"


def test_a_run_with_plgs_own_workers_says_that_it_tells_nothing_of_others(play):
    outcome = play(scenario("steady 100/s over 300ms", WORKERS, "expect { drain_time < 5s }")).outcome
    assert (outcome.verdict, outcome.exit_code) == ("pass", 0)
    assert outcome.reason == "the one expectation held, with plg's own workers in place of yours"
    assert summary(outcome).splitlines()[0] == f"warning: {OWN}"
    assert markdown([outcome]).splitlines()[0] == f"> ⚠️ {OWN}"
    assert annotate(outcome).splitlines()[0].endswith(f"::{OWN}")
    assert (
        html([outcome]).split("<header>\n", 1)[1].startswith('<p class="reason doubt" role="alert">The jobs were taken')
    )
    case = ElementTree.fromstring(junit([outcome])).find("testsuite").find("testcase")
    assert (case.get("name"), case.find("skipped").get("message")) == ("own workers", OWN)
    assert json.loads(to_json(outcome))["notices"] == [{"code": "own-workers", "text": OWN}]
    again = from_json(to_json(outcome))
    assert rejudge(again, [expect("drain_time", "<", 5.0)]).reason == outcome.reason


def test_where_others_took_most_of_the_jobs_that_is_said_too(play, client):
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            client.brpop("q", 1)

    thread = threading.Thread(target=take)
    slow = "workers 1 each 200ms"
    text = scenario("steady 100/s over 1s", slow, "expect { drain_time < 9s }")
    outcome = play(text, observer=session.Observer(before_start=thread.start)).outcome
    stop.set()
    thread.join()
    taken = outcome.workers.processed
    assert 0 < taken < 20
    [notice] = notices(outcome)
    assert notice.text == (f"{taken} of the 100 jobs that were taken were taken by plg's own 1 worker, not by yours")


@pytest.mark.parametrize(("target", "own"), [("embedded", True), ("fake", True), ("redis://localhost/0", False)])
def test_workers_only_embedded_work_where_plg_started_the_server(tmp_path, target, own, capsys):
    text = scenario("steady 100/s over 300ms", f"{WORKERS} only embedded", "expect { queue_depth < 100 }")
    (tmp_path / "s.plg").write_text(text, encoding="utf-8")
    prepared = prepare(tmp_path / "s.plg", Request({}, target=target))
    assert (prepared.scenario.own_workers is not None) == own
    assert main(["plan", str(tmp_path / "s.plg"), "--target", target]) == 0
    warned = "the jobs will be taken by plg's own 2 workers, not by yours"
    assert (warned in " ".join(capsys.readouterr().out.split())) == own


def test_workers_only_embedded_leave_a_real_server_to_its_own_workers(play, client):
    client.lpush("q", "real")
    text = scenario("steady 100/s over 300ms", f"{WORKERS} only embedded", "expect { queue_depth < 100 }")
    outcome = play(text).outcome
    assert (outcome.exit_code, outcome.workers, client.llen("q")) == (0, None, 31)
    assert [notice.code for notice in notices(outcome)] == ["nobody-worked"]


RQ = 'job j { queue rq "default" call "shop.fails" args ["${seq}"] }'


def test_jobs_that_failed_in_the_worker_are_said_first(play, client):
    """A worker that takes every job, fails at it, and keeps it where RQ does: depth and age look as well as can be."""
    client.zadd("rq:failed:default", {"earlier": 1.0})
    stop = threading.Event()

    def fail() -> None:
        while not stop.is_set() or client.llen("rq:queue:default"):
            taken = client.blpop("rq:queue:default", 1)
            if taken:
                client.zadd("rq:wip:default", {taken[1]: 9e9})
                client.zadd("rq:failed:default", {taken[1]: 9e9})
                client.zrem("rq:wip:default", taken[1])

    thread = threading.Thread(target=fail)
    thread.start()
    text = scenario("steady 100/s over 500ms", "expect { drain_time < 9s errors == 0 }", jobs=RQ)
    outcome = play(text).outcome
    stop.set()
    thread.join()
    assert (outcome.verdict, outcome.exit_code, outcome.queue.failed) == ("pass", 0, 50)
    assert outcome.reason == "all 2 expectations held, but 50 jobs failed in the worker"
    first = (
        "50 jobs failed in the worker during this run; queue_age, drain_time and queue_depth tell when jobs were taken"
    )
    assert summary(outcome).splitlines()[0].startswith(f"warning: {first}")
    for report in (markdown([outcome]), junit([outcome]), annotate(outcome), html([outcome]), to_json(outcome)):
        assert first in report
    assert rejudge(from_json(to_json(outcome)), [expect("errors", "==", 0.0)]).reason.endswith("failed in the worker")


def test_where_none_failed_nothing_is_said(play, client):
    client.zadd("rq:failed:default", {"earlier": 1.0})
    outcome = play(scenario("steady 100/s over 100ms", "expect { errors == 0 }", jobs=RQ)).outcome
    assert outcome.queue.failed == 0
    assert [notice.code for notice in notices(outcome)] == ["nobody-worked"]


def test_a_job_at_hand_gets_a_moment_to_fail(play, client):
    client.zadd("rq:wip:default", {"at hand": 9e9})

    def fail() -> None:
        client.zrem("rq:wip:default", "at hand")
        client.zadd("rq:failed:default", {"at hand": 9e9})

    timer = threading.Timer(0.9, fail)
    text = scenario("steady 50/s over 400ms", "expect { errors == 0 }", jobs=RQ)
    outcome = play(text, observer=session.Observer(before_start=timer.start)).outcome
    timer.join()
    assert outcome.queue.failed == 1
