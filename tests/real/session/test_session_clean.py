"""plg clean takes away what one run left, and nothing else: seen by another client."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest
import redis
from support.checked import Done, Started, plg, until
from support.keyspace import keyspace
from support.session_runs import LIMITS

from plg.cli.main import main
from plg.outcome import Outcome
from plg.outcome_io import to_json

KINDS = {
    "list": 'queue "q" payload { n: "${seq}" }',
    "stream": 'stream "q" payload { n: "${seq}" }',
    "rq": 'queue rq "q" call "shop.work" args ["${seq}"]',
    "celery": 'queue celery "q" call "shop.work" args ["${seq}"] priority 5',
}
ALL = " ".join(f"job {kind} {{ {text} }}".replace('"q"', f'"{kind}s"') for kind, text in KINDS.items())


@pytest.fixture
def run(play):
    """A run with these jobs: ``run(jobs)``; its outcome."""

    def start(jobs: str, traffic: str = "steady 1000/s over 200ms", **asked) -> Outcome:
        limits = LIMITS.replace("5000/s", "50_000/s")
        outcome = play(f'scenario "left" {{ {jobs} traffic {{ {traffic} }} {limits} }}', **asked).outcome
        assert outcome.ledger.acked == outcome.ledger.planned  # whether plg was late matters little here
        return outcome

    return start


@pytest.fixture
def clean(server, here, capsys):
    """``plg clean`` with these arguments, in this process."""

    def start(*arguments: str, target: str = "") -> Done:
        try:
            code = main(["clean", *arguments, "--target", target or f"unix://{server.path}"])
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return Done(code, said.out, said.err, here)

    return start


def test_what_a_run_left_goes_and_the_keyspace_is_as_before(run, clean, client):
    client.set("text", "hello")
    client.sadd("rq:queues", "rq:queue:other")
    before = keyspace(client)
    name = run(ALL).run_id
    assert len(keyspace(client)) > len(before) + 50
    seen = clean(name, "--dry-run")
    assert (seen.code, seen.last) == (0, f"exit 0: 200 jobs of the run {name} would be removed")
    rows = [line.split() for line in seen.out.splitlines()[:-1]]
    assert {count for count, _ in rows} == {"50"}
    assert {key[:7] for _, key in rows} == {"lists", "streams", "rq:queu", "celerys", "rq:job:"}
    done = clean(name)
    assert (done.code, done.last) == (0, f"exit 0: nothing is left of the run {name}: 200 jobs removed")
    assert keyspace(client) == before


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_of_others_in_the_queue_stay_in_their_order(kind, run, clean, client):
    """A run among jobs that were there before and ones that came after, and among those of another run."""
    first = run(f"job a {{ {KINDS[kind]} }}").run_id
    before = keyspace(client, b"plg:runs")
    second = run(f"job a {{ {KINDS[kind]} }}").run_id
    if kind == "list":
        client.lpush("q", "theirs", "last")
        before[b"q"] = (b"", False)
    done = clean(second)
    assert done.code == 0, done.said
    after = keyspace(client, b"plg:runs")
    assert after.keys() == before.keys()
    assert [key for key in after if after[key] != before[key]] == ([b"q"] if kind in ("list", "stream") else [])
    if kind == "list":
        jobs = client.lrange("q", 0, -1)
        assert jobs[:2] == [b"last", b"theirs"]
        assert [json.loads(job)["id"] for job in jobs[:1:-1]] == [f"{first}-{seq}" for seq in range(200)]
    if kind == "stream":
        told = [json.loads(fields[b"job"]) for _, fields in client.xrange("q")]
        assert [job["id"] for job in told] == [f"{first}-{seq}" for seq in range(200)]
    assert clean(first).code == 0
    assert keyspace(client).keys() == ({b"q"} if kind == "list" else set())


def test_a_crashed_run_is_listed_and_cleaned(here, server, client, clean):
    (here / "left.plg").write_text(
        f'scenario "left" {{ {ALL} traffic {{ steady 500/s over 30s }} {LIMITS} expect {{ lost == 0 }} }}'
    )
    target = f"unix://{server.path}"
    with Started("check", "left.plg", "--target", target, "--run-id", "crashed", cwd=here) as started:
        until(lambda: client.llen("lists") > 20)
        refused = clean("crashed")
        assert refused.code == 2
        assert "the run crashed is still going on" in refused.said
        listed = json.loads(clean("--list", "--json").out)["runs"]
        assert [(row["run"], row["running"]) for row in listed] == [("crashed", True)]
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
    assert client.keys("plg:far:*"), "what workers tell of their jobs is one of the traces"
    there = client.llen("lists") + client.xlen("streams") + client.llen("rq:queue:rqs")
    [row] = json.loads(clean("--list", "--json").out)["runs"]
    assert (row["run"], row["scenario"], row["running"], row["planned"]) == ("crashed", "left", False, 15_000)
    assert row["jobs_left"] >= there
    assert [(queue["kind"], queue["name"]) for queue in row["queues"]] == [(kind, f"{kind}s") for kind in KINDS]
    told = clean("--list").out
    assert "crashed" in told
    assert 'list "lists", stream "streams", rq "rqs", celery "celerys"' in told
    assert clean("crashed").code == 0
    assert client.dbsize() == 0


def test_a_run_that_is_not_known_is_named_with_the_nearest(run, clean, client):
    name = run(ALL, run_id="night-12").run_id
    done = clean("night-21")
    assert (done.code, name) == (2, "night-12")
    assert "the target knows of no run 'night-21'" in done.said
    assert "did you mean night-12?" in done.said
    other = clean(name, target=f"unix://{client.connection_pool.connection_kwargs['path']}?db=3")
    assert other.code == 2
    assert "is it another server or database?" in other.said
    assert clean(name, target="unix:///nowhere/s").code == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "plg clean takes the name of a run, --all or --list"),
        (("a", "--all"), "plg clean takes the name of a run, --all or --list"),
        (("--list", "--all"), "plg clean takes the name of a run, --all or --list"),
        (("a", "--list"), "plg clean takes the name of a run, --all or --list"),
    ],
)
def test_one_of_a_run_and_the_list_is_asked_for(arguments, words, clean):
    done = clean(*arguments)
    assert (done.code, words in done.said) == (2, True)


def test_all_runs_go_at_once_but_for_one_that_goes_on(run, clean, client, here, server):
    client.set("text", "hello")
    client.lpush("lists", "not of plg")
    before = keyspace(client)
    for name in ("one", "two"):
        run(ALL, run_id=name)
    done = {"run_id": "done", "traffic": "steady 100/s over 300ms"}
    run('job r { queue rq "rs" call "shop.work" }', **done)
    client.delete("rq:queue:rs", *client.keys("rq:job:*"))
    assert "done" in clean("--list").out, "nothing of it is left, and it is listed"
    (here / "long.plg").write_text(
        f'scenario "long" {{ job a {{ queue "long" }} traffic {{ steady 20/s over 60s }} {LIMITS} }}'
    )
    target = f"unix://{server.path}"
    with Started("check", "long.plg", "--target", target, "--run-id", "long", cwd=here):
        until(lambda: client.llen("long") > 5)
        dry = clean("--all", "--dry-run", "--json")
        assert dry.code == 0, dry.said
        told = json.loads(dry.out)
        assert sorted(each["run"] for each in told["runs"]) == ["done", "one", "two"]
        assert (told["going_on"], client.llen("lists") > 1) == (1, True), "nothing was removed"
        cleaned = clean("--all")
        assert cleaned.code == 0, cleaned.said
        assert "of 3 runs were removed, 1 that goes on left alone" in cleaned.said
        assert client.llen("long") > 5
        assert [row["run"] for row in json.loads(clean("--list", "--json").out)["runs"]] == ["long"]
    assert clean("--all").code == 0
    assert keyspace(client) == before
    assert "0 jobs of 0 runs were removed" in clean("--all").said


def test_a_run_of_which_nothing_can_be_left_is_not_listed(run, clean, client):
    name = run('job a { queue "q" } ', "steady 100/s over 300ms").run_id
    assert name in clean("--list").out
    run('workers 2 each 0ms job b { queue "other" } watch 5s', "steady 100/s over 300ms")
    assert len(json.loads(clean("--list", "--json").out)["runs"]) == 1
    assert clean(name).code == 0
    assert client.dbsize() == 0


def test_a_user_who_may_write_the_queue_alone_is_told(run, here, server, client, clean):
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~q", "&*", "+@all")
    app = f"redis://app:pw@127.0.0.1:{server.port}/0"
    outcome = run('job a { queue "q" }', "steady 200/s over 500ms", target=app)
    assert client.keys("*") == [b"q"]
    assert any("plg clean --list will not know of this run" in words for words in outcome.warnings)
    assert clean(outcome.run_id, target=app).code == 6, "it may not be read either"
    client.lpush("q", "theirs")
    (here / "left.outcome.json").write_text(to_json(outcome))
    cleaned = clean("./left.outcome.json", target=app)
    assert (cleaned.code, client.lrange("q", 0, -1)) == (0, [b"theirs"])
    assert ": 100 jobs removed" in cleaned.last
    client.execute_command("ACL", "SETUSER", "app", "~plg:runs")
    assert not any("plg clean" in words for words in run('job a { queue "q" }', target=app).warnings)


def test_an_outcome_that_is_not_there_is_told(server, here):
    done = plg("clean", "lost.outcome.json", "--target", f"unix://{server.path}", cwd=here)
    assert (done.code, "there is no file lost.outcome.json" in done.said) == (2, True)


def test_what_is_broken_off_is_cleaned_later(run, clean, here, server, client):
    """Broken off in the middle: what is left is left whole, and goes at the next time."""
    name = run(ALL, "steady 20_000/s over 1s").run_id
    for number, code, below in ((signal.SIGKILL, -9, 5000), (signal.SIGINT, 130, 4000)):
        with Started("clean", name, "--target", f"unix://{server.path}", cwd=here) as started:
            until(lambda below=below: client.llen("lists") < below)
            started.process.send_signal(number)
            assert started.process.wait() == code
        assert client.xlen("streams") + client.llen("rq:queue:rqs") > 0, "it was too quick to be broken off"
    assert clean(name).code == 0
    assert client.dbsize() == 0


def test_workers_may_take_jobs_meanwhile(run, clean, server, client):
    """What a worker takes while plg cleans is done once, and never missed by either."""
    name = run('job a { queue "q" payload { n: "${seq}" } }', "steady 4000/s over 1500ms").run_id
    client.lpush("q", *[f"theirs-{n}" for n in range(500)])
    taken: list[bytes] = []
    with redis.Redis(unix_socket_path=str(server.path)) as worker:
        stopped = threading.Event()

        def work() -> None:
            while not stopped.is_set():
                job = worker.rpop("q")
                if job is not None:
                    taken.append(job)
                time.sleep(0.0005)

        thread = threading.Thread(target=work)
        thread.start()
        done = clean(name)
        stopped.set()
        thread.join()
    assert done.code == 0, done.said
    ours = [json.loads(job)["seq"] for job in taken if job.startswith(b"{")]
    assert len(ours) == len(set(ours))
    removed = int(done.last.rpartition(": ")[2].split()[0].replace(",", ""))
    assert removed + len(ours) == 6000
    theirs = [job for job in taken if job.startswith(b"theirs")] + client.lrange("q", 0, -1)[::-1]
    assert theirs == [b"theirs-%d" % n for n in range(500)]


def test_where_the_clients_may_not_be_listed_a_run_is_over_when_its_plan_is(here, server, client, clean):
    """A run that was killed, and a user who cannot see that it was."""
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client|list")
    app = f"redis://app:pw@127.0.0.1:{server.port}/0"
    (here / "left.plg").write_text(f'scenario "left" {{ {ALL} traffic {{ steady 100/s over 30s }} {LIMITS} }}')
    with Started("check", "left.plg", "--target", app, "--run-id", "crashed", cwd=here) as started:
        until(lambda: client.llen("lists") > 5)
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
    done = clean("crashed", target=app)
    assert done.code == 2
    assert "may still be going on: this user may not list the clients of the server" in done.said
    assert "is over at 20" in done.said
    assert clean("crashed").code == 0
    assert client.dbsize() == 0


def test_both_shards_are_one_run(run, client, clean):
    for part in (0, 1):
        assert run(ALL, run_id="both", shard=(part, 2)).ledger.acked == 100
    [row] = json.loads(clean("--list", "--json").out)["runs"]
    assert (row["run"], row["planned"], row["jobs_left"]) == ("both", 200, 200)
    assert clean("both").code == 0
    assert client.dbsize() == 0


def test_what_cannot_be_told_from_other_jobs_is_not_called_clean(run, clean, client):
    name = run('job a { queue "q" encoding raw payload "x" } job b { queue "q" }').run_id
    [row] = json.loads(clean("--list", "--json").out)["runs"]
    assert (row["run"], row["jobs_left"]) == (name, None)
    done = clean(name)
    assert done.code == 3
    assert "100 jobs removed; it is not known what else is left of the run" in done.last
    assert client.lrange("q", 0, -1) == [b"x"] * 100


def test_a_format_that_is_not_installed_here_is_named(run, clean, client):
    name = run(ALL).run_id
    [(member, score)] = client.zrange("plg:runs", 0, -1, withscores=True)
    client.delete("plg:runs")
    client.zadd("plg:runs", {member.replace(b'"kind":"rq"', b'"kind":"resque"'): score})
    assert "it is not known how many are left" in clean("--list").out
    done = clean(name)
    assert (done.code, "jobs of the format resque, which is not installed here" in done.said) == (2, True)
    assert client.llen("lists") == 50
