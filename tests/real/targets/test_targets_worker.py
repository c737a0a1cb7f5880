"""The reference workers keep an honest pace, lose nothing, and end when they should."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.real_servers import alive, gone_within

import plg
from plg.histogram import bucket_of
from plg.queues.base import Job, Queue
from plg.targets import consumer
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.targets.worker import ReferenceWorkers

HOME = str(Path(plg.__file__).parent.parent)
LIST = (Job("a", queue=Queue("list", "orders")),)
STREAM = (Job("s", queue=Queue("stream", "events")),)
MIXED = (
    Job("a", queue=Queue("list", "orders")),
    Job("b", queue=Queue("list", "refunds")),
    Job("s", queue=Queue("stream", "events")),
    Job("t", queue=Queue("stream", "others")),
)


def fill(server, jobs, count, age=0.0):
    now = time.time()
    for i in range(count):
        job = json.dumps({"seq": i, "enqueued_at": now - age})
        kind = jobs[i % len(jobs)]
        if kind.queue.kind == "stream":
            server.ask("XADD", kind.queue.name, "*", "job", job)
        else:
            server.ask("LPUSH", kind.queue.name, job)


def await_(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def server(servers, any_binary):
    return servers(any_binary)


@pytest.fixture
def hire():
    """Workers for a server, stopped at the end of the test where it did not do so itself."""
    hired = []

    def at(server, jobs, count, each, userinfo=""):
        hired.append(ReferenceWorkers(open_target(server.url(userinfo), jobs), jobs, count, each))
        return hired[-1]

    yield at
    for workers in hired:
        workers.stop()


@given(st.floats(0, 1e6, allow_nan=False))
def test_the_bucket_of_a_wait_is_that_of_the_histogram(seconds):
    assert consumer.bucket_of(seconds) == int(bucket_of(np.array([seconds]))[0])


@pytest.mark.parametrize("jobs", [LIST, STREAM, MIXED], ids=["list", "stream", "mixed"])
def test_every_job_is_done_once(hire, server, jobs):
    fill(server, jobs, 203, age=7.0)
    workers = hire(server, jobs, 3, 0.0005)
    workers.start()
    probe = open_target(server.url(), jobs).probe()
    await_(lambda: probe.look().waiting == 0)
    probe.close()
    report = workers.stop()
    assert (report.processed, report.waits.total, report.warnings) == (203, 203, ())
    assert report.waits.min >= 7.0
    wait = report.wait_s()
    assert list(wait) == ["p50", "p90", "p95", "p99", "p99.9", "max", "mean"]
    assert 7.0 <= wait["p50"] <= wait["p99.9"] <= wait["max"] < 17.0
    assert 7.0 <= wait["mean"] <= wait["max"]


@pytest.mark.parametrize(("count", "each"), [(2, 0.005), (4, 0.04)])
@pytest.mark.parametrize(
    ("jobs", "filled"),
    [(LIST, LIST), (STREAM, STREAM), (MIXED, MIXED), (MIXED, MIXED[1:2]), (MIXED, MIXED[2:3])],
    ids=["list", "stream", "mixed", "mixed, in one list", "mixed, in one stream"],
)
def test_the_pace_is_what_was_asked(hire, server, jobs, filled, count, each):
    """Between two looks at what is left, count / each jobs a second are done: never more, and at most a tenth less."""
    fill(server, filled, 1200)
    workers = hire(server, jobs, count, each)
    workers.start()
    probe = open_target(server.url(), jobs).probe()
    await_(lambda: probe.look().waiting < 1200)
    best = 0.0
    for _ in range(6):  # a busy machine can only make them slower: the best of several looks tells their own pace
        started, before = time.monotonic(), probe.look().waiting
        time.sleep(0.4)
        after, ended = probe.look().waiting, time.monotonic()
        done = before - after
        assert done <= (ended - started) * count / each + count, "more was done than the time allows"
        best = max(best, (done + 1) / ((ended - started) * count / each))
        if best > 0.9:
            break
    probe.close()
    assert best > 0.9
    assert workers.stop().warnings == ()


def test_nothing_is_lost_between_workers_and_queue(hire, server):
    fill(server, MIXED, 400)
    workers = hire(server, MIXED, 4, 0.02)
    workers.start()
    await_(lambda: server.number("LLEN", "orders") < 90)
    report = workers.stop()
    probe = open_target(server.url(), MIXED).probe()
    left = probe.look().waiting
    probe.close()
    lists = 200 - server.number("LLEN", "orders") - server.number("LLEN", "refunds")
    streams = report.processed - lists
    assert 0 < report.processed < 400
    # What was taken from lists is done; what a stream delivered is done and acknowledged.
    acknowledged = 200 - sum(_behind(server, key) for key in ("events", "others"))
    assert streams == acknowledged
    assert left == max(_behind(server, "events"), 0) + _behind(server, "others") + 200 - lists


def _behind(server, key):
    answer = server.ask("XINFO", "GROUPS", key, many=True).split(b"\r\n")
    return sum(int(answer[answer.index(field) + 1][1:]) for field in (b"pending", b"lag"))


def test_stop_finishes_what_one_read_brought_from_several_streams(hire, server):
    streams = (Job("s", queue=Queue("stream", "events")), Job("t", queue=Queue("stream", "others")))
    server.ask("XADD", "events", "*", "job", "{}")
    server.ask("XADD", "others", "*", "job", "{}")
    workers = hire(server, streams, 1, 0.2)
    workers.start()
    await_(lambda: b"-" in server.ask("XPENDING", "others", "plg", many=True))
    assert workers.stop().processed == 2
    assert _behind(server, "events") + _behind(server, "others") == 0


def test_a_lone_stream_beside_empty_lists_is_read_at_its_own_pace(hire, server):
    """An empty list costs a moment's wait only when the streams are empty too."""
    fill(server, STREAM, 300)
    workers = hire(server, MIXED, 1, 0.001)
    workers.start()
    start = time.monotonic()
    await_(lambda: _behind(server, "events") == 0)
    assert time.monotonic() - start < 1.5
    assert workers.stop().processed == 300


@pytest.mark.parametrize("full", MIXED, ids=lambda job: job.queue.name)
def test_no_queue_starves(hire, server, full):
    fill(server, [full], 300)
    others = [job for job in MIXED if job is not full]
    fill(server, others, len(others))
    workers = hire(server, MIXED, 1, 0.01)
    workers.start()
    await_(lambda: sum(_left(server, job) for job in others) == 0)
    assert _left(server, full) > 200
    workers.stop()


def _left(server, job):
    return _behind(server, job.queue.name) if job.queue.kind == "stream" else server.number("LLEN", job.queue.name)


def test_stop_finishes_the_job_at_hand(hire, server):
    workers = hire(server, LIST, 1, 0.4)
    workers.start()
    server.ask("LPUSH", "orders", "x")
    await_(lambda: server.number("LLEN", "orders") == 0)
    start = time.monotonic()
    report = workers.stop()
    assert report.processed == 1
    assert time.monotonic() - start > 0.2
    assert (report.waits.total, report.wait_s()["p50"], report.wait_s()["max"]) == (0, None, None)


def test_jobs_that_take_days_are_let_go_and_told_of(hire, server):
    fill(server, LIST, 5)
    workers = hire(server, LIST, 2, 30 * 86400.0)
    workers.start()
    await_(lambda: server.number("LLEN", "orders") == 3)
    begun = time.monotonic()
    report = workers.stop()
    assert time.monotonic() - begun < 2
    assert report.processed == 0
    assert report.warnings == ("2 jobs were in the hands of reference workers when the run ended, and not finished",)


def test_idle_workers_stop_soon_and_say_nothing_happened(hire, server):
    workers = hire(server, MIXED, 20, 0.001)
    workers.start()
    report = workers.stop()
    assert (report.processed, report.count, report.each, report.warnings) == (0, 20, 0.001, ())


@pytest.mark.skipif(sys.platform != "linux", reason="what a process was given is read from /proc")
def test_they_work_where_a_password_is_needed(hire, servers, any_binary):
    server = servers(any_binary, "--requirepass", "s3cret")
    workers = hire(server, LIST, 1, 0.001, ":s3cret")
    workers.start()
    assert b"s3cret" not in Path(f"/proc/{workers.pid}/cmdline").read_bytes()
    assert b"s3cret" not in Path(f"/proc/{workers.pid}/environ").read_bytes()
    assert workers.stop().warnings == ()


def test_they_cannot_start_where_they_may_not_take(hire, server):
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-xgroup")
    workers = hire(server, STREAM, 1, 0.001, "ann:pw")
    with pytest.raises(TargetError, match=r"reference workers could not start.*NOPERM") as caught:
        workers.start()
    assert caught.value.kind == "refused"
    assert workers.pid is None


def test_a_refusal_while_working_is_told_once_with_its_number(hire, server):
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-brpop")
    workers = hire(server, LIST, 2, 0.001, "ann:pw")
    workers.start()
    time.sleep(0.3)
    report = workers.stop()
    assert report.processed == 0
    [warning] = report.warnings
    assert "NOPERM" in warning
    assert "times" in warning


def test_a_lost_connection_is_told_and_made_anew(hire, server):
    workers = hire(server, LIST, 2, 0.001)
    workers.start()
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    time.sleep(0.2)
    fill(server, LIST, 20)
    await_(lambda: server.number("LLEN", "orders") == 0)
    report = workers.stop()
    assert report.processed == 20
    assert any("lost" in warning for warning in report.warnings)


def test_a_stream_that_was_deleted_is_read_again(hire, server):
    workers = hire(server, STREAM, 1, 0.001)
    workers.start()
    server.ask("DEL", "events")
    time.sleep(0.3)
    fill(server, STREAM, 5)
    await_(lambda: _behind(server, "events") == 0)
    assert workers.stop().processed == 5


def test_a_crash_is_a_warning(hire, server):
    workers = hire(server, LIST, 2, 0.001)
    workers.start()
    os.kill(workers.pid, signal.SIGKILL)
    report = workers.stop()
    assert (report.processed, report.waits.total) == (0, 0)
    [warning] = report.warnings
    assert "signal 9" in warning
    assert workers.stop().warnings  # nothing runs any more: said, not raised


@pytest.mark.parametrize("hidden", [False, True], ids=["input ends", "input held open by another process"])
def test_they_end_with_plg(server, hidden):
    program = f"""
    import os, sys, time
    sys.path.append({HOME!r})
    from plg.queues.base import Job, Queue
    from plg.targets.open import open_target
    from plg.targets.worker import ReferenceWorkers
    jobs = [Job("a", queue=Queue("list", "orders"))]
    workers = ReferenceWorkers(open_target({server.url()!r}, jobs), jobs, 3, 30.0)
    workers.start()
    print(workers.pid, flush=True)
    heir = os.fork() if {hidden} else 0
    if heir:
        print(heir, flush=True)
    time.sleep(60)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    pid = int(child.stdout.readline())
    heir = int(child.stdout.readline()) if hidden else None
    server.ask("LPUSH", "orders", "x")
    await_(lambda: server.number("LLEN", "orders") == 0)
    assert alive(pid)
    start = time.monotonic()
    child.kill()
    child.wait()
    try:
        assert gone_within(pid, 5) is not None
        # At once where the input ends; at the next look at the parent where it does not.
        assert hidden or time.monotonic() - start < 0.4
    finally:
        child.stdout.close()
        if heir is not None:
            os.kill(heir, signal.SIGKILL)


def test_their_process_stays_light():
    """It runs beside the schedule: none of what makes plg slow to start may come with it."""
    code = "import sys, plg.targets.consumer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True)
    assert not {"numpy", "plotly", "lark", "jsonschema", "yaml"} & set(done.stdout.split())


def test_a_working_folder_full_of_namesakes_does_not_matter(hire, server, tmp_path, monkeypatch):
    for name in ("json", "redis", "plg"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    workers = hire(server, LIST, 1, 0.001)
    workers.start()
    assert workers.stop().warnings == ()


@pytest.mark.parametrize("jobs", [LIST, STREAM, MIXED], ids=["list", "stream", "mixed"])
def test_they_work_on_the_fake(jobs):
    if importlib.util.find_spec("fakeredis") is None:
        pytest.skip("fakeredis is not installed")
    with open_target("fake", jobs) as target:
        workers = ReferenceWorkers(target, jobs, 2, 0.001)
        workers.start()
        raw = target.connect()
        raw.settimeout(5)
        for i in range(20):
            words = [b"LPUSH", jobs[i % len(jobs)].queue.name.encode(), b"{}"]
            if jobs[i % len(jobs)].queue.kind == "stream":
                words = [b"XADD", words[1], b"*", b"job", b"{}"]
            raw.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))
            assert raw.recv(256)[:1] in b":$+"
        raw.close()
        probe = target.probe()
        await_(lambda: probe.look().waiting == 0)
        probe.close()
        report = workers.stop()
    assert (report.processed, report.warnings) == (20, ())
