"""`plg doctor` against real servers: what it finds there, what it warns of, and that it leaves all as it was."""

from __future__ import annotations

import json
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.pages import as_shown, blocks, commands
from support.queue_layouts import CELERY_MESSAGE, LAYOUTS, SIDEKIQ_JOB, binding, lay, state
from support.real_servers import free_port

from plg.cli.main import main
from plg.queues.base import Job, Queue
from plg.queues.owners.registry import OWNERS
from plg.queues.use import queues_of
from plg.reports.diagnosis import drawn
from plg.targets.doctor.diagnosis import Diagnosis
from plg.targets.doctor.examination import examine

ROOT = Path(__file__).parents[3]


@pytest.fixture
def server(one_server):
    return one_server


def codes(found: Diagnosis) -> set[str]:
    return {each.code for each in found.warnings}


def said(found: Diagnosis, code: str) -> str:
    [message] = [each.message for each in found.warnings if each.code == code]
    return message


def counts(found: Diagnosis) -> dict[tuple[str, str], tuple]:
    return {
        (each["kind"], each["name"]): (each["waiting"], each["in_flight"], each["delayed"], each["dead"])
        for each in found.document()["queues"]
    }


UNLISTED = {
    "bull-used", "bull-idle", "sidekiq-namespace", "sidekiq-retry", "sidekiq-dead", "sidekiq-record", "sidekiq-filled",
    "dramatiq-idle", "dramatiq-namespace", "dramatiq-deep", "huey-filled",
}  # fmt: skip
"""Layouts that leave no queue that plg could write to: nothing but the mark of a sender, or another form."""


@pytest.mark.parametrize("layout", [each for each in LAYOUTS if each.commands], ids=lambda layout: layout.title)
def test_the_queues_of_every_framework_are_recognised_and_left_as_they_were(server, layout):
    lay(server, layout.commands)
    before = state(server)
    found = examine(server.url())
    assert state(server) == before
    [owner] = [owner for owner in OWNERS if owner.name == layout.name]
    own = [each for each in found.queues if each.kind in owner.kinds]
    if layout.title in UNLISTED:
        assert not own
        return
    if layout.title == "celery-thousands":
        assert "1,000 or more queues were found" in said(found, "not-all-queues-seen")
        return
    stem = layout.key.split("\x06")[0].removesuffix(":3").removesuffix(":events").removesuffix(":wait")
    assert [each for each in own if each.queue.key.removesuffix(":wait") == stem], found.document()["queues"]


def test_the_document_is_as_promised(server, capsys):
    server.ask("LPUSH", "plain", "a", "b")
    assert main(["doctor", server.url(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["server"] in ("redis", "valkey")
    assert told["version"].count(".") == 2
    assert told["warnings"] == [{"code": "queue-not-empty", "message": told["warnings"][0]["message"]}]
    [queue] = told["queues"]
    assert (queue["kind"], queue["name"], queue["waiting"]) == ("list", "plain", 2)
    assert {"kind", "name", "waiting", "in_flight", "delayed", "dead", "oldest_age_s", "workers"} <= queue.keys()
    assert (told["mode"], told["role"], told["persistence"]) == ("alone", "master", "none")
    assert told["may_write"]["allowed"] is True
    assert 0 < told["answer_s"] < 1
    assert abs(told["clock_offset_s"]) < 1


def test_what_a_client_wrote_is_counted(server):
    """By the formats' own recipes, which real workers run; the counts are those that Redis itself gives."""
    now = time.time()
    lay(server, [
        binding("pay", "pay"), ("LPUSH", "pay", CELERY_MESSAGE, CELERY_MESSAGE),
        ("LPUSH", "pay\x06\x166", CELERY_MESSAGE),
        ("HSET", "unacked", "tag", "x"),
        ("SADD", "rq:queues", "rq:queue:mail"), ("RPUSH", "rq:queue:mail", "one"),
        ("HSET", "rq:job:one", "enqueued_at", time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now - 60))),
        ("ZADD", "rq:wip:mail", "9999999999", "two"), ("ZADD", "rq:failed:mail", "1", "three"),
        ("ZADD", "rq:scheduled:mail", "1", "four", "2", "five"),
    ])  # fmt: skip
    found = examine(server.url())
    assert counts(found) == {("celery", "pay"): (3, 1, None, None), ("rq", "mail"): (1, 1, 2, 1)}
    [rq] = [each for each in found.document()["queues"] if each["kind"] == "rq"]
    assert 59 < rq["oldest_age_s"] < 75
    assert codes(found) == {"queue-not-empty", "prefetch", "visibility-timeout"}


def test_workers_that_live_are_counted(server):
    lay(server, [
        ("SADD", "rq:queues", "rq:queue:mail", "rq:queue:idle"),
        ("SADD", "rq:workers:mail", "rq:worker:one", "rq:worker:two", "rq:worker:gone"),
        ("HSET", "rq:worker:one", "state", "idle"), ("HSET", "rq:worker:two", "state", "busy"), ("LPUSH", "plain", "x"),
    ])  # fmt: skip
    found = {each["name"]: each["workers"] for each in examine(server.url()).document()["queues"]}
    assert found == {"mail": 2, "idle": 0, "plain": None}


def test_a_framework_that_names_no_queue_is_told(server):
    lay(server, [("ZADD", "dramatiq:__heartbeats__", "1795854619256", "41b6")])
    found = examine(server.url())
    assert "dramatiq has keys here, such as 'dramatiq:__heartbeats__'" in said(found, "no-queue-told")


def test_a_run_and_the_doctor_count_the_same(server):
    job = Job("work", Queue("bullmq", "mail", {"prefix": "shop"}), payload={"a": 1})
    [queue] = queues_of([job])
    lay(server, [("HSET", "shop:mail:meta", "version", "bullmq:6.7.0"), ("LPUSH", queue.key, "1", "2")])
    assert counts(examine(server.url())) == {("bullmq", "mail"): (2, 0, 0, 0)}


def test_eviction_and_memory_that_runs_out(server):
    server.ask("SET", "filler", "x" * 3_000_000)
    used = int(server.fact("used_memory"))
    server.ask("CONFIG", "SET", "maxmemory", str(int(used * 1.1)), "maxmemory-policy", "allkeys-lru")
    try:
        found = examine(server.url())
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
    assert {"eviction", "low-memory"} <= codes(found)
    assert "allkeys-lru" in said(found, "eviction")
    assert "noeviction" in said(found, "eviction")


def test_a_policy_that_only_evicts_what_has_a_time_to_live_is_told_too(server):
    server.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    try:
        assert "only keys with a time to live" in said(examine(server.url()), "eviction")
    finally:
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_a_queue_that_will_expire(server):
    lay(server, [("LPUSH", "plain", "a"), ("EXPIRE", "plain", "90")])
    assert "'plain' has a time to live: in 1m" in said(examine(server.url()), "ttl")


def test_a_stream_that_nobody_reads_and_one_that_is_read(server):
    lay(server, [("XADD", "silent", "*", "job", "{}"), ("XGROUP", "CREATE", "read", "mine", "$", "MKSTREAM")])
    found = examine(server.url())
    assert counts(found).keys() == {("stream", "silent"), ("stream", "read")}
    assert 'stream "silent"' in said(found, "stream-without-groups")
    assert "read" not in said(found, "stream-without-groups").partition(":")[0].split('"')


def test_a_long_list_of_nobody(server):
    lay(server, [("LPUSH", "cache", *map(str, range(1000)))])
    assert 'list "cache"' in said(examine(server.url()), "unknown-list")


def test_a_queue_that_holds_jobs_of_another_framework(server):
    lay(server, [("SADD", "queues", "low"), ("LPUSH", "queue:low", CELERY_MESSAGE)])
    assert "'queue:low' is a queue of Sidekiq, but a Celery message waits in it" in said(
        examine(server.url()), "foreign-jobs"
    )


def test_a_queue_that_holds_what_no_framework_wrote(server):
    lay(server, [binding("pay", "pay"), ("LPUSH", "pay", '{"id": 1}')])
    assert "'pay' is a queue of Celery, but a job waits in it that is none of Celery's" in said(
        examine(server.url()), "foreign-jobs"
    )


def test_runs_that_left_something(server):
    lay(server, [("ZADD", "plg:runs", "1", "{}", "2", "{ }")])
    assert said(examine(server.url()), "earlier-runs").startswith("2 runs of plg may have left jobs")


def test_another_database_holds_the_queues(server):
    server.ask("LPUSH", "plain", "a")
    found = examine(server.url(database=3))
    assert found.queues == ()
    assert "database 3 is empty, but others are not: 0 (1 keys)" in said(found, "other-database")


@pytest.mark.parametrize(
    ("rules", "allowed", "how"),
    [
        ("+@all -acl ~*", None, "as user ann, who may not ask for more"),
        ("+@all -lpush ~*", False, "user ann may not"),
        ("+@all ~other*", False, "user ann may not"),
        ("+@all ~*", True, "as user ann"),
    ],
)
def test_whether_plg_may_write_is_asked_without_writing(server, rules, allowed, how):
    server.ask("ACL", "SETUSER", "ann", "on", ">secret", *rules.split())
    before = state(server)
    found = examine(server.url("ann:secret"))
    assert found.writing.allowed is allowed
    assert how in found.writing.how or allowed is None
    assert ("may-not-write" in codes(found)) is (allowed is False)
    assert state(server) == before
    assert "secret" not in json.dumps(found.document())


def test_what_a_user_may_not_see_is_said(server):
    server.ask("LPUSH", "plain", "a")
    server.ask("ACL", "SETUSER", "ann", "on", ">secret", "+@all", "-scan", "-acl", "~*")
    found = examine(server.url("ann:secret"))
    assert "the names of keys could not be looked at" in said(found, "keys-not-seen")


MARKS = ("celery-priority", "rq-idle", "bullmq-prefix", "sidekiq-idle", "asynq-idle", "arq-idle", "taskiq-stream-group",
         "saq-filled", "dramatiq-idle")  # fmt: skip


@pytest.mark.parametrize("command", [
    "ping", "info", "time", "dbsize", "scan", "sscan", "zscan", "type", "llen", "lindex", "lrange", "hlen", "pttl",
    "exists", "hget", "hmget", "get", "scard", "srandmember", "sismember", "zcard", "zcount", "zrange", "memory",
    "config", "acl", "xlen", "xinfo", "xrange", "xrevrange", "client", "cluster",
])  # fmt: skip
def test_whatever_a_user_may_not_ask_the_rest_is_told(server, command):
    lay(server, [words for layout in LAYOUTS if layout.title in MARKS for words in layout.commands])
    lay(server, [("LPUSH", "plain", "a"), ("XADD", "silent", "*", "job", "{}")])
    server.ask("ACL", "SETUSER", "ann", "on", ">secret", "+@all", f"-{command}", "~*")
    if command == "ping":
        assert main(["doctor", server.url("ann:secret")]) == 6
        return
    before = state(server)
    found = examine(server.url("ann:secret"))
    assert state(server) == before
    assert found.queues
    assert {each.kind for each in found.queues if each.sight} or command in ("info", "llen")


def test_a_user_who_may_only_ping(server):
    server.ask("ACL", "SETUSER", "ann", "on", ">secret", "-@all", "+ping", "+select", "~*")
    found = examine(server.url("ann:secret"))
    assert (found.queues, found.server.version, found.writing.allowed) == ((), "", None)
    assert "keys-not-seen" in codes(found)
    assert drawn(found, width=80)


def test_the_server_is_given_no_command_that_writes_blocks_or_walks_all_keys(server):
    lay(server, [each for layout in LAYOUTS[:3] for each in layout.commands])
    lay(server, [("RPUSH", "queue:low", SIDEKIQ_JOB), ("SADD", "queues", "low")])
    server.ask("CONFIG", "RESETSTAT")
    examine(server.url())
    given = {
        line.partition(":")[0].removeprefix("cmdstat_").split("|")[0]
        for line in server.ask("INFO", "commandstats", many=True).decode().splitlines()
        if line.startswith("cmdstat_")
    }
    reading = {
        "ping", "info", "time", "dbsize", "scan", "sscan", "zscan", "type", "llen", "lindex", "lrange", "hlen", "pttl",
        "exists", "hget", "hmget", "get", "scard", "srandmember", "sismember", "zcard", "zcount", "zrange", "memory",
        "config", "acl", "xlen", "xinfo", "client", "select", "hello", "auth", "command", "cluster",
    }  # fmt: skip
    assert given <= reading, given - reading


def test_a_replica_is_told_with_its_master(servers, any_binary):
    master = servers(any_binary)
    replica = servers(any_binary, "--replicaof", f"127.0.0.1 {master.port}")
    found = examine(replica.url())
    assert found.server.role == "replica"
    assert found.writing.allowed is False
    assert f"127.0.0.1:{master.port}" in said(found, "replica")
    assert "may-not-write" in codes(found)


def test_a_cluster_is_looked_at_as_a_whole(cluster):
    keys = [cluster.key_at(place, f"plain{place}-") for place in range(3)]
    for place, key in enumerate(keys):
        cluster.nodes[place].ask("LPUSH", key, "a")
    saq = cluster.place("saq:default:incomplete")
    cluster.nodes[saq].ask("ZADD", "saq:default:incomplete", "0", "saq:job:default:1")
    cluster.nodes[cluster.place("asynq:queues")].ask("SADD", "asynq:queues", "low")
    found = examine(cluster.nodes[0].url())
    assert (found.server.mode, found.server.nodes) == ("cluster", 3)
    assert counts(found) == {("list", key): (1, None, None, None) for key in keys} | {
        ("saq", "default"): (0, 0, 1, None),
        ("asynq", "low"): (0, 0, 0, 0),
    }
    assert 'saq "default"' in said(found, "no-hash-tag")
    assert "asynq" not in said(found, "no-hash-tag")
    assert found.looked.keys == 5


def test_a_sentinel_says_where_its_master_is(servers, any_binary):
    master = servers(any_binary)
    sentinel = servers(
        any_binary, "--sentinel", config=f"port {{port}}\nsentinel monitor mine 127.0.0.1 {master.port} 1\n", wait=True
    )
    found = examine(sentinel.url().removesuffix("/0"))
    assert found.server.mode == "sentinel"
    assert f"127.0.0.1:{master.port}" in said(found, "sentinel")


def test_nobody_there(capsys):
    assert main(["doctor", "redis://127.0.0.1:1/0"]) == 6
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("foo", "foo is no target"), ("embedded", "made for each run"), ("env NOPE_NOT_SET", "the target is empty"),
        ("redis://:p@ss:word/", "is not a usable target"), ("http://x/", "plg cannot send to http://"),
    ],
)  # fmt: skip
def test_bad_targets(target, words, capsys):
    assert main(["doctor", target]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "p@ss" not in said


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_it_fits_the_screen(server, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lay(server, [binding("pay", "pay"), ("SADD", "rq:queues", "rq:queue:mail"), ("LPUSH", "plain", "a")])
    assert main(["doctor", server.url()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[1:])) <= columns
    told = "\n".join(lines)
    for part in ("maxmemory-policy", "celery", "pay", "waiting", "warning[queue-not-empty]"):
        assert part in told


def test_names_that_move_cursors_are_written_out(server, capsys):
    server.ask("LPUSH", "a\x1b[2Jb", "x")
    assert main(["doctor", server.url()]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_the_page_shows_what_is_printed(server, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lay(server, [binding("pay", "pay"), ("SADD", "rq:queues", "rq:queue:mail"), ("LPUSH", "invoices", "a", "b", "c")])
    server.ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru")
    try:
        assert main(["doctor", server.url()]) == 0
    finally:
        server.ask("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
    printed = iter(
        capsys.readouterr()
        .out.replace(server.url(), "redis://localhost:6379/0")
        .replace("valkey ", "redis ")
        .splitlines()
    )
    [_, (_, shown)] = [each for text in page_blocks() for each in commands(text)][::-1]
    for line in shown:
        assert any(as_shown(line, each) for each in printed), line


def page_blocks() -> list[str]:
    return [text for language, _, text in blocks(ROOT / "docs" / "doctor.md") if language == "console"]


def test_the_page_names_every_warning():
    folder = ROOT / "plg"
    sources = [*(folder / "targets" / "doctor").glob("*.py"), *(folder / "queues" / "owners").glob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    given = {*re.findall(r'Remark\(\s*"([a-z-]+)"', text), *(code for owner in OWNERS for code in owner.surprises)}
    table = (ROOT / "docs" / "doctor.md").read_text().partition("## The warnings")[2]
    named = {
        code for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for code in re.findall(r"`([a-z-]+)`", row)
    }
    assert given == named


def test_a_server_that_does_not_answer(servers, any_binary, capsys):
    stopped = servers(any_binary)
    stopped.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    assert main(["doctor", stopped.url("", 0, socket_timeout=0.5)]) == 6
    assert time.monotonic() - begun < 3
    assert "no answer in time" in capsys.readouterr().err


def test_a_wrong_password(servers, any_binary, capsys):
    server = servers(any_binary, "--requirepass", "secret")
    assert main(["doctor", server.url(":wrong")]) == 6
    said = capsys.readouterr().err
    assert "WRONGPASS" in said
    assert "wrong@" not in said


def test_a_server_that_comes_up_meanwhile_is_waited_for(servers, any_binary):
    port = free_port()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(main, ["doctor", f"redis://127.0.0.1:{port}/0", "--wait", "20s"])
        time.sleep(0.5)
        assert not waiting.done()
        servers(any_binary, "--port", str(port), wait=False)
        assert waiting.result(20) == 0


def test_many_keys_are_looked_at_up_to_a_bound(server, monkeypatch):
    monkeypatch.setattr("plg.targets.doctor.discovery._PAGE", 100)
    monkeypatch.setattr("plg.targets.doctor.discovery._PAGES", 3)
    lay(server, [("SET", f"session:{n}", "x") for n in range(2000)])
    lay(server, [("SADD", "rq:queues", "rq:queue:mail")])
    found = examine(server.url())
    assert found.looked.keys < 600
    assert found.looked.of == 2001
    assert "of 2,001 keys were looked at" in said(found, "not-all-keys-seen")
    assert ("rq", "mail") in counts(found)
