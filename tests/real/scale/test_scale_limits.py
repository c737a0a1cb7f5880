"""A limit that shards share: a counter in a real server, and the budgets taken from it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from support.clusters import RealCluster
from support.live import kill, revive
from support.real_servers import launcher, server_programs

from plg.queues.base import Job, Queue
from plg.runner.budget import Budget, SharedBudget
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.targets.shared_limit import CounterLost, SharedLimit


@pytest.fixture
def target(server):
    with open_target(server.url(), (Job("job", queue=Queue("list", "q")),)) as target:
        yield target


@pytest.fixture
def mortal():
    """A server for one test, which may end or restart it."""
    program = next((path for path in server_programs().values() if path), None)
    if program is None:
        pytest.skip("no server program on this machine")
    starting = launcher()
    yield next(starting)(program)
    next(starting, None)


def shared(target, part=1, of=4, limit=100, run="r"):
    return SharedLimit(target, run, part, of, limit)


def test_no_more_is_granted_than_there_is(target, server):
    one, two = shared(target, 1), shared(target, 2)
    with closing(one), closing(two):
        one.begin(60)
        two.begin(60)
        assert one.claim(60) == (60, 40)
        assert two.claim(60) == (40, 0)
        assert two.claim(1) == (0, 0)
        two.give_back(15)
        assert one.claim(60)[0] == 15
        epoch = server.ask("HGET", "plg:limits:r", "epoch").split()[-1].decode()
        assert server.ask("HGET", "plg:limits:r", f"taken:{epoch}").split()[-1] == b"100"


def test_the_key_expires_and_is_removed_by_the_last(target, server):
    parts = [shared(target, i + 1, of=3) for i in range(3)]
    for part in parts:
        part.begin(60)
    assert 60 < server.number("TTL", "plg:limits:r") <= 3660
    for part in parts[:2]:
        part.end(0)
    assert server.number("EXISTS", "plg:limits:r") == 1
    parts[2].end(0)
    assert server.number("EXISTS", "plg:limits:r") == 0
    for part in parts:
        part.close()


def test_a_shard_cannot_begin_twice_nor_with_other_figures(target):
    with closing(shared(target, 2)) as first, closing(shared(target, 2)) as again:
        first.begin(60)
        with pytest.raises(TargetError, match=r"shard 2 of 4 has begun before: plg:limits:r says so"):
            again.begin(60)
    for other in (shared(target, 3, of=5), shared(target, 3, limit=99)):
        with closing(other), pytest.raises(TargetError, match="was agreed on for 4 shards and 100 jobs"):
            other.begin(60)
    with closing(shared(target, 2, run="another")) as elsewhere:
        elsewhere.begin(60)


def test_a_key_of_another_kind_is_refused_in_the_servers_words(target, server):
    server.ask("SET", "plg:limits:r", "x")
    with closing(shared(target)) as limit, pytest.raises(TargetError, match="WRONGTYPE"):
        limit.begin(60)
    assert server.ask("GET", "plg:limits:r").endswith(b"x\r\n"), "what plg did not write stays"


@pytest.mark.parametrize("limit", [1, 97, 5000])
def test_permits_of_several_add_up_to_the_limit(target, limit):
    """Four shards that want far more than there is: the sum of what they may send is the limit, to the job."""
    budget = [SharedBudget(shared(target, i + 1, limit=limit), 2000.0) for i in range(4)]
    sent = [0] * 4

    def send(i):
        budget[i].start(60)
        until = time.monotonic() + 20
        while not budget[i].exhausted(sent[i]) and time.monotonic() < until:
            sent[i] += min(budget[i].left(sent[i]), 7 + i)
            time.sleep(0.0005)

    threads = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == limit
    for i, each in enumerate(budget):
        each.stop(sent[i])


def test_permits_that_were_not_used_serve_another(target):
    first = SharedBudget(shared(target, 1, of=2, limit=100), 10_000.0)
    with closing(shared(target, 2, of=2, limit=100)) as second:
        second.begin(60)
        first.start(60)
        assert first.left(0) == 100
        first.stop(3)
        assert second.claim(100)[0] == 97


def test_a_server_that_goes_away_grants_nothing_and_costs_nothing(mortal):
    with open_target(mortal.url(), (Job("job", queue=Queue("list", "q")),)) as target:
        budget = SharedBudget(shared(target, of=1, limit=10_000), 100.0)
        budget.start(60)
        had = budget.left(0)
        mortal.stop()
        assert budget.left(had) == 0
        time.sleep(0.3)
        assert budget.left(had) == 0
        assert not budget.exhausted(had)
        begun = time.monotonic()
        budget.stop(had)
        assert time.monotonic() - begun < 3


def test_none_is_granted_before_all_shards_have_joined(target, server):
    with closing(shared(target, 1, of=2)) as first, closing(shared(target, 2, of=2)) as second:
        first.begin(60)
        with pytest.raises(TargetError, match=r"1 of 2 shards have begun within 0.2 s \(missing: shard 2\), and plg:l"):
            first.await_others(0.2)
        second.begin(60)
        first.await_others(0.2)
        second.await_others(0.2)


LOSSES = {
    "flushed": lambda server: server.ask("FLUSHALL"),
    "evicted": lambda server: server.ask("DEL", "plg:limits:r"),
    "begun anew": lambda server: (server.ask("DEL", "plg:limits:r"), server.ask("HSET", "plg:limits:r", "epoch", "x")),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_counter_that_is_lost_grants_nothing_any_more(target, server, loss):
    with closing(shared(target, of=1)) as one:
        one.begin(60)
        assert one.claim(10) == (10, 90)
        LOSSES[loss](server)
        for _ in range(2):
            with pytest.raises(CounterLost, match="the counter plg:limits:r is gone"):
                one.claim(10)
        with pytest.raises(CounterLost):
            one.end(5)
    assert server.number("EXISTS", "plg:limits:r") == (loss == "begun anew"), "nothing is left of it"


@pytest.mark.parametrize("denied", ["", "-info"])
def test_a_counter_that_a_restart_may_have_set_back_is_lost(mortal, denied):
    """The copy on disk is older than what was granted since: nothing in it says so."""
    mortal.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", *([denied] if denied else []))
    with (
        open_target(mortal.url("ann:pw"), (Job("job", queue=Queue("list", "q")),)) as target,
        closing(shared(target, of=1)) as one,
    ):
        one.begin(60)
        assert mortal.ask("SAVE") == b"+OK\r\n"
        assert one.claim(80) == (80, 20)
        kill(mortal)
        revive(mortal)
        mortal.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", *([denied] if denied else []))
        assert mortal.number("HEXISTS", "plg:limits:r", "epoch") == 1
        said = []
        for _ in range(3):
            with pytest.raises(TargetError) as caught:
                one.claim(80)
            said.append(caught.value)
        assert isinstance(said[-1], CounterLost)
        assert "may be older than what was taken from it, as the server was restarted or replaced" in str(said[-1])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("times", [1, 4])
def test_shards_never_send_more_than_the_limit_whatever_becomes_of_the_counter(tmp_path, server, times):
    """Two processes, the counter flushed while they run, a shard started once more: at most 300 in all, exit code 6."""
    file = tmp_path / "s.plg"
    file.write_text(
        'scenario "s" { job a { queue "q" } traffic { steady 200/s over 5s }\n'
        "  guardrails { max_rate 500/s max_total_jobs 300 max_duration 1m } }"
    )
    common = [sys.executable, "-m", "plg", "check", str(file), "--target", server.url(), "--share-limits"]
    common += ["--run-id", "r", "--start-at", "+1s"]

    def start(shard, out):
        return subprocess.Popen(
            [*common, "--shard", f"{shard}/2", "--out", out],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    shards = [start(shard, "out") for shard in (1, 2)]
    until = time.monotonic() + 20
    while not server.number("EXISTS", "q") and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)
    for _ in range(times):
        server.ask("DEL", "plg:limits:r")
        time.sleep(0.1)
    again = start(1, "again")
    said = [shard.communicate()[0] for shard in (*shards, again)]
    for code, told in zip([shard.returncode for shard in shards], said, strict=False):
        assert code == 6, told
        assert "the counter plg:limits:r is gone, by FLUSHALL, eviction or a restart" in told
    assert again.returncode == 6
    assert "1 of 2 shards have begun within 5 s" in said[-1]
    assert 30 < server.number("LLEN", "q") < 300


def test_permits_in_one_hand():
    own = Budget(10)
    assert (own.left(3), own.exhausted(9), own.exhausted(10)) == (7, False, True)


@pytest.mark.slow
def test_in_a_cluster_the_counter_is_kept_by_the_node_that_owns_it():
    program = next((path for path in server_programs().values() if path), None)
    if program is None:
        pytest.skip("no server program on this machine")
    starting = launcher()
    cluster = RealCluster(next(starting), program)
    for run in ("r", "s", "t", "u"):  # their keys are spread over the nodes
        with open_target(cluster.nodes[0].url(), (Job("job", queue=Queue("list", "q")),)) as target:
            with closing(shared(target, limit=50, run=run)) as limit:
                limit.begin(60)
                assert limit.claim(60) == (50, 0)
            owner = cluster.nodes[cluster.place(f"plg:limits:{run}")]
            assert owner.number("EXISTS", f"plg:limits:{run}") == 1
    next(starting, None)
