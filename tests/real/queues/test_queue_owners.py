"""Queues of the frameworks: recognised before a run, and never written to unasked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.queue_layouts import (
    CELERY_MESSAGE,
    HUEY_MESSAGE,
    LAYOUTS,
    PIDBOX,
    binding,
    job,
    lay,
    refusal,
    remarks,
    state,
)

from plg import session
from plg.language.load import load
from plg.prepare import Request, prepare
from plg.queues.base import Job, Queue
from plg.queues.owners.registry import OWNERS
from plg.queues.use import queues_of
from plg.targets.base import TargetError
from plg.targets.open import open_target


@pytest.fixture
def server(one_server):
    return one_server


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_a_queue_of_a_framework_is_refused_and_left_as_it_was(server, layout):
    lay(server, layout.commands)
    before = state(server)
    said = refusal(server.url(), job(layout.key, layout.kind))
    assert f"is a queue of {layout.name} (" in said
    assert layout.how in said
    assert "--force" in said
    assert state(server) == before


ADVISED = """
scenario "load" {{
  job work {{ {} call "x.y" }}
  traffic {{ steady 50/s over 1s }}
  guardrails {{ max_rate 500/s max_total_jobs 1_000 max_duration 1m }}
}}
"""


def load_of(queue: str, folder: Path) -> Job:
    """The job of a scenario in which its queue is written so."""
    file = folder / "load.plg"
    file.write_text(ADVISED.format(queue), encoding="utf-8")
    [work] = load(file).scenario.jobs
    return work


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_what_it_is_told_to_write_is_that_queue_in_the_form_of_the_framework(server, layout, tmp_path):
    lay(server, layout.commands)
    told = re.search(
        r"name another queue(?:, write (.*))?, or send there", refusal(server.url(), job(layout.key, layout.kind))
    )
    if told[1] is None:
        assert layout.title in UNSPELLED
        return
    work = load_of(told[1], tmp_path)
    [queue] = queues_of([work])
    assert layout.name.lower() in work.queue.kind
    # Priorities of Celery and the other records of a BullMQ queue are reached through it.
    stem = layout.key.split("\x06")[0].removesuffix(":3").removesuffix(":events")
    assert queue.key.removesuffix(":wait") == stem.removesuffix(":wait")
    with open_target(server.url(), [work]) as target:
        assert not any("belongs to" in note for note in target.notes)


UNSPELLED = {
    "bull-used",
    "bull-idle",
    "celery-events",
    "sidekiq-namespace",
    "sidekiq-filled",
    "sidekiq-record",
    "sidekiq-retry",
    "sidekiq-dead",
    "huey-filled",
}
"""Keys that are no queue's, or for which a format has no setting."""


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.title)
def test_other_queues_beside_it_are_nobodys(server, layout):
    lay(server, layout.commands)
    assert remarks(server.url(), job("plg:jobs", layout.kind), job("load", "stream")) == ()


def test_every_framework_is_covered():
    assert {layout.name for layout in LAYOUTS} == {owner.name for owner in OWNERS}


def test_who_insists_may_write_and_reads_what_it_comes_to(server):
    lay(server, (binding("pay", "pay"),))
    [remark] = remarks(server.url(), job("pay"), force=True)
    assert remark.startswith("'pay' belongs to Celery (the set _kombu.binding.pay names it)")
    assert "loses its connection" in remark
    assert (
        "its workers prefetch jobs, long before they do them, so queue_depth, queue_age and drain_time tell" in remark
    )
    [remark] = remarks(server.url(), job("rq:queue:pay"), force=True)
    assert "prefetch" not in remark, "RQ's workers take one job at a time"


def test_the_frameworks_own_form_is_welcome_and_named(server):
    lay(server, (("SADD", "rq:queues", "rq:queue:pay"), ("SADD", "rq:workers:pay", "w")))
    assert remarks(server.url(), Job("job", queue=Queue("rq", "pay"), call="shop.charge")) == ()
    assert 'write queue rq "pay"' in refusal(server.url(), job("rq:queue:pay"))


def test_plain_jobs_of_ones_own_are_no_framework(server):
    own = json.dumps({"id": 1, "body": "x", "task_id": 3, "class": "A", "args": []})
    lay(server, (("LPUSH", "work", own, "not json", b"\x80\x05.", "{" * 5000),))
    lay(server, (("XADD", "log", "*", "data", own), ("XGROUP", "CREATE", "log", "mine", "0")))
    assert remarks(server.url(), job("work"), job("log", "stream")) == ()


def test_a_mark_tells_more_than_a_job(server):
    lay(server, (binding("shop", "pay", "eu:"), ("LPUSH", "eu:pay", CELERY_MESSAGE)))
    own = 'write queue celery "pay" { prefix: "eu:", exchange: "shop" }'
    assert own in refusal(server.url(), job("eu:pay"))


def test_of_many_queues_the_first_are_named_and_the_others_counted(server):
    said = refusal(server.url(), *(job(f"rq:queue:q{n}") for n in range(5)))
    assert said.count("is a queue of RQ") == 3
    assert said.endswith("; and so are 2 more queues")


def test_two_queues_are_both_named(server):
    lay(server, (binding("pay", "pay"), ("LPUSH", "work", HUEY_MESSAGE)))
    said = refusal(server.url(), job("pay"), job("fine"), job("work"))
    assert "'pay' at" in said
    assert "'work' at" in said
    assert "'fine'" not in said


def test_what_may_not_be_looked_at_is_a_remark(server):
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~plg:*", "+@all")
    [remark] = remarks(server.url("ann:pw"), job("plg:a"), job("plg:b"))
    assert remark.startswith("whether 'plg:a', 'plg:b' belongs to a queue framework could not be seen: NOPERM")
    server.ask("ACL", "SETUSER", "ann", "resetkeys", "~*", "-@all", "+lpush", "+llen", "+lrange", "+multi", "+ping")
    [remark] = remarks(server.url("ann:pw"), job("plg:a"))
    assert "could not be seen: NOPERM" in remark
    # What can be seen counts all the same.
    lay(server, (("LPUSH", "jobs", CELERY_MESSAGE),))
    assert "a Celery message waits in it" in refusal(server.url("ann:pw"), job("jobs"))


def test_a_job_of_many_megabytes_is_not_fetched_for_a_look(server):
    lay(server, (("LPUSH", "big", b"x" * (3 << 20)),))
    sent = int(server.fact("total_net_output_bytes"))
    [remark] = remarks(server.url(), job("big"))
    assert remark == "what waits in 'big' is too large to see whether it belongs to a queue framework"
    assert int(server.fact("total_net_output_bytes")) - sent < 1 << 20


def test_the_look_costs_a_bounded_number_of_commands(server):
    lay(server, (PIDBOX, ("LPUSH", "a:b:c:d:e:f", "x")))
    for at in range(0, 30_000, 1000):
        lay(server, (("MSET", *(word for n in range(1000) for word in (f"key:{at + n}", "x"))),))
    before = int(server.fact("total_commands_processed"))
    assert remarks(server.url(), job("a:b:c:d:e:f")) == ()
    assert int(server.fact("total_commands_processed")) - before < 80
    assert b"cmdstat_keys" not in server.ask("INFO", "commandstats", many=True)


def test_only_names_are_looked_at_where_nobody_can_have_a_queue():
    with pytest.raises(TargetError, match="is a queue of RQ"):
        open_target("embedded", (job("rq:queue:pay"),))
    with pytest.raises(TargetError, match="is a queue of Celery"):
        open_target("embedded", (job("celery"),))
    with open_target("embedded", (job("queue:low"),)) as target:
        assert target.notes == ()


@pytest.mark.parametrize("key", ["celery-load", "load:celery", "celery2", "queue:low", "queues", "taskiq:load"])
def test_names_beside_the_default_ones_are_nobodys(server, key):
    assert remarks(server.url(), job(key)) == ()


def test_the_default_name_alone_is_refused_with_the_reason_and_the_ways_out(server):
    said = refusal(server.url(), job("celery"))
    assert "'celery' at redis://" in said
    assert "a worker that takes a job of another form loses its connection and the messages it holds" in said
    assert said.endswith('(name another queue, write queue celery "celery", or send there all the same with --force)')
    [remark] = remarks(server.url(), job("celery"), force=True)
    assert remark.startswith("'celery' belongs to Celery (celery is the name of its queue unless told otherwise")


def test_in_a_cluster_the_marks_may_stand_at_any_node(cluster):
    url = cluster.nodes[0].url()
    for number in range(6):
        queue = f"pay{number}"
        words = binding(queue, queue)
        assert remarks(url, job(queue)) == ()
        assert cluster.nodes[cluster.place(str(words[1]))].ask(*words) == b":1\r\n"
        assert f"the set _kombu.binding.{queue} names it" in refusal(url, job(queue))


@pytest.mark.parametrize(
    ("kind", "key", "held", "name"),
    [
        ("celery", "pay", '{"id": "1", "job": "charge"}', "Celery"),
        ("sidekiq", "queue:pay", "12", "Sidekiq"),
        ("saq", "saq:pay:queued", '{"id": "1"}', "SAQ"),
    ],
)
def test_a_queue_that_holds_what_its_own_workers_cannot_read_is_refused(server, kind, key, held, name):
    lay(server, [("LPUSH", key, held)])
    before = state(server)
    own = Job("job", queue=Queue(kind, "pay"), call="shop.charge")
    said = refusal(server.url(), own)
    assert f"is a queue of another program (a job waits in it that is none of {name}'s)" in said
    assert "--force" in said
    assert state(server) == before
    [told] = [note for note in remarks(server.url(), own, force=True) if "another program" in note]
    assert "written to all the same" in told


@pytest.mark.parametrize("kind", ["celery", "sidekiq", "saq", "rq", "taskiq", "huey", "bullmq", "dramatiq", "asynq"])
def test_what_plg_itself_has_left_there_is_no_reason_to_refuse(server, kind, tmp_path):
    takes = "payload {}" if kind in ("bullmq", "asynq") else ""
    path = tmp_path / "load.plg"
    scenario = ADVISED.format(f'queue {kind} "pay" {takes}').replace("over 1s", "over 100ms")
    path.write_text(scenario, encoding="utf-8")
    for _ in range(2):
        assert session.run(prepare(path, Request({}, target=server.url())), session.Observer()).ledger.acked == 5
