"""How the ids of a run's jobs are told from all others."""

from __future__ import annotations

import pytest

from plg.queues.base import Job, Queue
from plg.queues.recipe import unique_id
from plg.queues.registry import SHIPPED, format_of
from plg.queues.traces import Ids, Own, by_job
from plg.targets.tally import Tally

IDS = Ids.of(unique_id("run", name, "rq") for name in ("a", "b"))
HEAD = IDS.heads[1].decode()


def test_an_id_is_the_whole_of_it() -> None:
    assert IDS.seq(f"{HEAD}00000000002a") == IDS.seq(f"{HEAD}00000000002a".encode()) == 42
    for other in (
        "",
        HEAD,
        f"{HEAD}00000000002",
        f"{HEAD}00000000002ab",
        f"{HEAD}00000000002g",
        f"x{HEAD}00000000002a",
    ):
        assert IDS.seq(other) is None, other
    assert Ids.of([unique_id("other", "b", "rq")]).seq(f"{HEAD}00000000002a") is None


def test_an_id_may_stand_behind_or_before_something() -> None:
    found = f"{HEAD}00000000002a".encode()
    assert IDS.after(b"job:")(b"job:" + found, b"") == 42
    assert IDS.after(b"job:")(found, b"") is None
    assert IDS.before(b":")(found + b":execution", b"") == 42
    assert IDS.in_field("id")(b"", b'{"id": "%s"}' % found) == 42
    assert IDS.in_field("id")(b"", b'{"parent": "%s"}' % found) is None
    assert IDS.in_field("id")(b"", b"%s {no JSON" % found) is None


def test_a_key_of_a_job_has_its_number() -> None:
    assert Own("job:", ":log").key(42) == "job:00000000002a:log"
    assert Own("job:", ":log").shown == "job:*:log"
    assert Own("results", named=lambda seq: f"r{seq}").key(42) == "r42"


@pytest.mark.parametrize("kind", SHIPPED)
def test_every_format_says_where_its_jobs_lie(kind: str) -> None:
    """Where workers take them from is one of the places, and each of two kinds of job in one queue is told."""
    jobs = [Job(name, Queue(kind, "shop"), call="work") for name in ("a", "b")]
    told = format_of(kind).traces(jobs, "run")
    assert told is not None
    assert not told.blind
    shared = {key for job in jobs for key, of in format_of(kind).keys(job).items() if of in ("list", "stream")}
    assert shared <= {place.key for place in told.places if not place.held}
    assert len(by_job(jobs)) == 2


def test_a_job_counts_once_wherever_it_is_found() -> None:
    tally = Tally()
    tally.add("list", [0, 1, 2])
    tally.add("key", [1, 2, 9])
    tally.add("held", [9, 10], held=True)
    assert (tally.jobs, tally.held, tally.found) == (5, 2, 6)
    assert [seq for seq in range(12) if tally.is_held(seq)] == [9, 10]
    tally.add("forged", [1 << 47])
    assert tally.jobs == 5
