"""Real runs on queues whose jobs go without a worker: what nobody was seen to take is never called taken."""

from __future__ import annotations

import json
import threading

import pytest
from support.live import kill, revive
from support.session_runs import Meanwhile, said_first, scenario, verdicts

from plg.outcome_io import to_json
from plg.reports.terminal import summary

LINES = "queue_depth < 1000\n queue_age < 20s\n drain_time < 5s\n errors <= 1000"
LIST = 'job job { queue "q" payload { n: "${seq}" } }'
RAW = 'job job { queue "q" encoding raw enqueued_at payload.at payload { at: "${now_ms}" } }'
STREAM = 'job job { stream "s" payload { n: "${seq}" } }'
QUEUE_LINES = ("queue_depth", "queue_age", "drain_time")


def run(play, job, act, *, at=0.6, traffic="steady 100/s over 1s", watch="watch 1s"):
    with Meanwhile(at, act) as observer:
        return play(scenario(traffic, watch, f"expect {{ {LINES} }}", jobs=job), observer=observer)


def not_told(played, words):
    """The lines about the queue have no data, for the reason that holds ``words``."""
    found = verdicts(played)
    assert [found[name] for name in QUEUE_LINES] == ["no_data"] * 3, (found, played.outcome.warnings)
    assert found["errors"] == "pass"
    assert words in played.outcome.recording.lost
    assert played.outcome.recording.lost in said_first(played)
    assert {r.detail for r in played.outcome.expectations if r.verdict == "no_data"} == {played.outcome.recording.lost}
    assert played.outcome.exit_code == 3, played.outcome.reason


def nobody(played):
    assert played.outcome.queue.nobody_worked
    assert played.outcome.queue.said.startswith("no job was taken from the queue")


class Worker(threading.Thread):
    """A worker of the test's own, beside the run: ``step`` takes something, again and again."""

    def __init__(self, step):
        super().__init__(daemon=True)
        self.step, self.over = step, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.step()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(10)


@pytest.mark.parametrize("job", [LIST, RAW])
@pytest.mark.parametrize("command", [["DEL", "q"], ["UNLINK", "q"], ["FLUSHDB"], ["RENAME", "q", "other"],
    ["LTRIM", "q", "0", "3"], ["EXPIRE", "q", "0"], ["PEXPIRE", "q", "100"], ["SWAPDB", "0", "1"]])  # fmt: skip
def test_a_list_that_is_deleted_was_not_worked_off(play, client, command, job):
    played = run(play, job, lambda: client.execute_command(*command))
    not_told(played, "vanished from 'q', untaken as far as can be seen (")
    if command[0] != "RENAME":
        nobody(played)


def test_a_list_that_is_deleted_beside_a_worker(play, client):
    """One that takes fewer jobs than have gone."""
    with Worker(lambda: (client.rpop("q"), threading.Event().wait(0.05))):
        played = run(play, LIST, lambda: client.delete("q"))
    not_told(played, "vanished from 'q', untaken as far as can be seen (the server was given DEL)")
    assert not played.outcome.queue.nobody_worked


@pytest.mark.parametrize("batch", [None, 50])
def test_a_fast_worker_empties_a_list_at_once(play, client, batch):
    """It comes late and takes all in a moment, beside others who delete keys of their own."""

    def work():
        while client.rpop("q", batch):
            pass
        if batch is None:
            client.delete("lock")

    played = run(play, LIST, work, at=1.05)
    played.kept()
    assert played.outcome.recording.lost == ""
    assert played.outcome.recording.taken is True


def test_jobs_that_are_read_and_cut_off_were_taken(play, client):
    def work():
        client.pipeline().lrange("q", -200, -1).ltrim("q", 0, -201).execute()

    run(play, LIST, work, at=1.05).kept()


@pytest.mark.parametrize("command", [["DEL", "s"], ["UNLINK", "s"], ["FLUSHALL"], ["RENAME", "s", "other"]])
@pytest.mark.parametrize("group", [True, False])
def test_a_stream_that_is_deleted_was_not_worked_off(play, client, command, group):
    if group:
        client.xgroup_create("s", "g", "0", mkstream=True)
    played = run(play, STREAM, lambda: client.execute_command(*command))
    not_told(played, "vanished with the stream 's' (")
    nobody(played)


@pytest.mark.parametrize("later", [0, 4])
def test_a_group_that_begins_behind_jobs_has_not_taken_them(play, client, later):
    def begin():
        client.xgroup_create("s", "g", "$")
        for _ in range(later):
            client.xreadgroup("g", "w", {"s": ">"}, block=200, noack=True)

    played = run(play, STREAM, begin)
    not_told(played, "skipped by the group 'g' of 's'")
    assert played.outcome.queue.nobody_worked is not bool(later)


def test_a_group_that_is_set_to_the_end_has_not_taken_what_it_skips(play, client):
    client.xgroup_create("s", "g", "0", mkstream=True)
    played = run(play, STREAM, lambda: client.xgroup_setid("s", "g", "$"))
    not_told(played, "skipped by the group 'g' of 's', as far as can be seen (the server was given XGROUP SETID)")
    nobody(played)


def test_a_group_that_is_destroyed_has_not_taken_what_it_had(play, client):
    client.xgroup_create("s", "g", "0", mkstream=True)
    client.xgroup_create("s", "other", "0")

    def destroy():
        client.xgroup_destroy("s", "g")
        client.xgroup_destroy("s", "other")

    not_told(run(play, STREAM, destroy), "vanished with the group 'g' of 's'")


def test_jobs_of_a_consumer_that_is_deleted_were_not_done(play, client):
    client.xgroup_create("s", "g", "0", mkstream=True)

    def drop():
        client.xreadgroup("g", "w", {"s": ">"})
        threading.Event().wait(0.25)
        client.xgroup_delconsumer("s", "g", "w")

    played = run(play, STREAM, drop)
    not_told(played, "given to a consumer of 's' that was deleted, and not seen to be acknowledged")
    assert not played.outcome.queue.nobody_worked


@pytest.mark.parametrize("late", [False, True])
def test_a_fast_worker_of_a_stream_is_believed(play, client, late):
    """Also one that comes late, reads all there is, deletes what it has done, and its consumer at the end."""

    def work():
        if late:
            client.xgroup_create("s", "g", "0")
        while found := client.xreadgroup("g", "w", {"s": ">"}, count=10, block=300):
            for entry, _ in found[0][1]:
                client.xack("s", "g", entry)
                client.xdel("s", entry)
        client.xgroup_delconsumer("s", "g", "w")

    if not late:
        client.xgroup_create("s", "g", "0", mkstream=True)
    played = run(play, STREAM, work, at=1.02 if late else 0.1, watch="watch 2s")
    played.kept()
    assert (played.outcome.recording.lost, played.outcome.recording.taken) == ("", True)


@pytest.mark.parametrize("group", [None, "0"])
def test_jobs_that_were_trimmed_were_not_taken(play, client, group):
    if group:
        client.xgroup_create("s", "g", group, mkstream=True)
    job = STREAM.replace('"s"', '"s" max_len 20')
    played = run(play, job, lambda: None)
    not_told(played, "trimmed from 's' untaken" if group else "gone from 's', untaken")
    nobody(played)
    assert played.outcome.queue.said == "no job was taken from the queue, yet only 20 of 100 still wait"


def test_jobs_that_were_trimmed_before_a_slow_worker_came(play, client):
    client.xgroup_create("s", "g", "0", mkstream=True)

    def step():
        for entry, _ in [e for _, found in client.xreadgroup("g", "w", {"s": ">"}, count=1, block=50) for e in found]:
            client.xack("s", "g", entry)
            threading.Event().wait(0.03)

    with Worker(step):
        played = run(play, STREAM.replace('"s"', '"s" max_len 20'), lambda: None, traffic="steady 200/s over 1s")
    not_told(played, "trimmed from 's' untaken")
    assert not played.outcome.queue.nobody_worked


def test_a_worker_that_keeps_pace_with_a_trimmed_stream_is_believed(play, client):
    client.xgroup_create("s", "g", "0", mkstream=True)

    def step():
        for entry, _ in [e for _, found in client.xreadgroup("g", "w", {"s": ">"}, block=50) for e in found]:
            client.xack("s", "g", entry)

    with Worker(step):
        played = run(play, STREAM.replace('"s"', '"s" max_len 50'), lambda: None, traffic="steady 200/s over 1s")
    played.kept()
    assert played.outcome.recording.lost == ""


def test_entries_that_are_deleted_before_they_were_given(play, client):
    client.xgroup_create("s", "g", "0", mkstream=True)
    not_told(run(play, STREAM, lambda: client.xdel("s", client.xrange("s")[9][0])), "deleted from 's' untaken")


def test_nobody_worked_and_the_server_was_restarted(play, server):
    def restart():
        kill(server)
        revive(server)

    played = run(play, LIST, restart)
    nobody(played)
    assert played.outcome.recording.taken is False
    assert played.outcome.recording.lost.startswith("the server was restarted")
    assert " still wait" in played.outcome.queue.said


def test_a_worker_before_the_restart_is_not_forgotten(play, server, client):
    def restart():
        client.rpop("q")
        threading.Event().wait(0.25)
        kill(server)
        revive(server)

    assert not run(play, LIST, restart).outcome.queue.nobody_worked


def test_a_worker_that_waited_before_the_run_is_not_overlooked(play, client):
    """It is given its one job without a further command."""
    with Worker(lambda: (client.brpop("q", 2), threading.Event().wait(3))):
        threading.Event().wait(0.2)
        outcome = play(scenario("steady 100/s over 500ms", "expect { queue_depth < 100 }")).outcome
    assert (outcome.queue.nobody_worked, outcome.queue.end) == (False, 49)


def test_a_key_that_expires_is_said_before_and_after(play, client):
    client.lpush("q", "x")
    client.pexpire("q", 700)
    played = run(play, LIST, lambda: None)
    not_told(played, "vanished from 'q', untaken as far as can be seen (its time to live ran out)")
    [said] = [text for text in played.outcome.warnings if text.startswith("a queue's key expires in ")]
    assert said.endswith(": what waits in it then is deleted")


def test_where_the_commands_are_not_told_that_is_said(play, client, server):
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-info")
    text = scenario("steady 100/s over 300ms", "expect { queue_depth < 100 }")
    played = play(text, target=f"redis://app:pw@127.0.0.1:{server.port}/0")
    [said] = [text for text in played.outcome.warnings if "commandstats" in text]
    assert said.endswith("so jobs that are deleted from a list count as taken")
    assert played.outcome.recording.taken is None
    assert played.outcome.queue.nobody_worked


def test_jobs_that_a_worker_puts_back_wait_again(play, client):
    """Nothing tells them from new ones: the depth does, and what waits at the end."""
    with Worker(lambda: (client.rpoplpush("q", "q"), threading.Event().wait(0.01))):
        outcome = play(scenario("steady 100/s over 500ms", "watch 1s", "expect { drain_time < 500ms }")).outcome
    assert outcome.expectations[0].verdict == "fail"
    assert outcome.queue.said.startswith(("still waiting: 50 jobs", "no job was taken from the queue: 50 jobs"))


def test_where_no_line_looks_at_the_queue_the_loss_is_said_first(play, client):
    def work():
        client.rpop("q")
        client.delete("q")

    with Meanwhile(0.5, work) as observer:
        outcome = play(scenario("steady 100/s over 1s", "expect { errors <= 1000 }"), observer=observer).outcome
    [notice] = json.loads(to_json(outcome))["notices"]
    assert notice["code"] == "jobs-lost"
    assert summary(outcome).splitlines()[0] == f"warning: {notice['text']}"
    assert summary(outcome).count(notice["text"]) == 1
    assert "held, but jobs may be lost" in outcome.reason or outcome.exit_code == 5
