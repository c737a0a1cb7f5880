"""A limit that shards share: a counter in a real server, and the permits taken from it."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
from clusters import RealCluster
from real_servers import launcher, server_programs

from plg.queues.base import Job, Queue
from plg.runner.permits import OwnPermits, SharedPermits
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.targets.shared_limit import SharedLimit


@pytest.fixture
def target(server):
    with open_target(server.url(), (Job("job", queue=Queue("list", "q")),)) as target:
        yield target


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
        assert server.ask("HGET", "plg:limits:r", "taken").split()[-1] == b"100"


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
    permits = [SharedPermits(shared(target, i + 1, limit=limit), 2000.0) for i in range(4)]
    sent = [0] * 4
    for each in permits:
        each.start(60)

    def send(i):
        until = time.monotonic() + 20
        while not permits[i].exhausted(sent[i]) and time.monotonic() < until:
            sent[i] += min(permits[i].left(sent[i]), 7 + i)
            time.sleep(0.0005)

    threads = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == limit
    for i, each in enumerate(permits):
        each.stop(sent[i])


def test_permits_that_were_not_used_serve_another(target):
    first, second = (SharedPermits(shared(target, i, of=2, limit=100), 10_000.0) for i in (1, 2))
    first.start(60)
    taken = first.left(0)
    assert taken == 100
    first.stop(3)
    second.start(60)
    assert second.left(0) == 97
    second.stop()


def test_a_server_that_goes_away_grants_nothing_and_costs_nothing():
    starting = launcher()
    start = next(starting)
    mortal = start(next(path for path in server_programs().values() if path))
    with open_target(mortal.url(), (Job("job", queue=Queue("list", "q")),)) as target:
        permits = SharedPermits(shared(target, limit=10_000), 100.0)
        permits.start(60)
        had = permits.left(0)
        mortal.stop()
        assert permits.left(had) == 0
        time.sleep(0.3)
        assert permits.left(had) == 0
        assert not permits.exhausted(had)
        begun = time.monotonic()
        permits.stop(had)
        assert time.monotonic() - begun < 3
    next(starting, None)


def test_permits_in_one_hand():
    own = OwnPermits(10)
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
