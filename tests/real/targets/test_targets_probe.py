"""Depth and age agree with what the server holds, whatever was written, taken and acknowledged."""

from __future__ import annotations

import json
import signal
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.real_servers import answering

from plg.queues.base import Job, Queue
from plg.queues.envelope import enqueued_at
from plg.queues.registry import format_of, names
from plg.queues.use import queues_of
from plg.targets.address import parse_address
from plg.targets.base import Depth, TargetError
from plg.targets.probe import RedisProbe

NOW = 1_800_000_000.0
LISTS = (
    Job("a", queue=Queue("list", "orders")),
    Job("b", queue=Queue("list", "refunds")),
    Job("c", queue=Queue("list", "orders")),
)
STREAM = (Job("s", queue=Queue("stream", "events")),)


@pytest.fixture
def look(request):
    """Looks at the queues of some jobs, by a clock that stands."""
    probes = []

    def at(server, jobs, now=NOW):
        probe = RedisProbe(parse_address(server.url()), queues_of(jobs), clock=lambda: now)
        probes.append(probe)
        return probe.look()

    yield at
    for probe in probes:
        probe.close()


@pytest.fixture(scope="module")
def server(module_servers, binary):
    return module_servers(binary)


@pytest.fixture
def clean(server):
    server.ask("FLUSHALL")
    return server


def job(age: float) -> str:
    return json.dumps({"id": "x", "enqueued_at": NOW - age, "payload": {}})


def test_nothing_waits_in_queues_that_are_not_there(clean, look):
    assert look(clean, LISTS + STREAM) == Depth(0, 0.0)


def test_lists_are_counted_once_each_and_the_oldest_is_at_the_right(clean, look):
    for age in (9.0, 5.0, 2.0):
        clean.ask("LPUSH", "orders", job(age))
    clean.ask("LPUSH", "refunds", job(7.0))
    assert look(clean, LISTS) == Depth(4, 9.0)
    clean.ask("RPOP", "orders")
    assert look(clean, LISTS) == Depth(3, 7.0)


@pytest.mark.parametrize(
    "raw", ["{}", "[1]", "3", "null", "plain", '{"enqueued_at": "soon"}', '{"enqueued_at": true}', "\xff"]
)
def test_jobs_of_others_are_counted_but_have_no_age(clean, look, raw):
    clean.ask("LPUSH", "orders", raw.encode("latin-1"))
    assert look(clean, LISTS) == Depth(1, None)
    clean.ask("LPUSH", "refunds", job(3.0))
    assert look(clean, LISTS) == Depth(2, None, at_least=3.0), "the other may be older"


def test_raw_jobs_are_not_read_for_a_date(clean, look):
    clean.ask("LPUSH", "orders", job(3.0))
    assert look(clean, (Job("a", queue=Queue("list", "orders"), encoding="raw"),)) == Depth(1, None)
    assert look(
        clean, (Job("a", queue=Queue("list", "orders"), encoding="raw"), Job("b", queue=Queue("list", "orders")))
    ) == Depth(1, 3.0)


def test_a_clock_ahead_of_ours_gives_no_negative_age(clean, look):
    clean.ask("LPUSH", "orders", job(-0.5))
    assert look(clean, LISTS) == Depth(1, 0.0)


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.none() | st.booleans())
@example(NOW + 61)
@example(NOW * 1e3 + 61_000)
def test_only_a_moment_by_a_clock_like_ours_is_a_date(value):
    stamp = enqueued_at(json.dumps({"enqueued_at": value}).encode(), NOW)
    if not isinstance(value, int | float) or isinstance(value, bool):
        assert stamp is None
    elif 0 < value <= NOW + 60:
        assert stamp == float(value)
    else:
        # Seconds it cannot be; in a smaller unit it is one only where that makes sense of it.
        assert stamp is None or (1e9 <= stamp <= NOW + 60 and value / stamp in map(pytest.approx, (1e3, 1e6, 1e9)))


@pytest.mark.parametrize(
    "said",
    [
        1799999990, 1799999990.0, 1799999990000, 1799999990000000, 1799999990000000000, "1799999990", "1799999990000",
        "2027-01-15T07:59:50Z", "2027-01-15T07:59:50", "2027-01-15T09:59:50+02:00", "2027-01-15 07:59:50.000",
        "20270115T075950Z",
    ],
)  # fmt: skip
def test_a_moment_is_read_in_any_usual_unit(said):
    whole = {"args": [1, {"made": said}], "made-at": said}
    for place in (("args", "1", "made"), ("made-at",)):
        assert enqueued_at(json.dumps(whole).encode(), NOW, [("nowhere",), place]) == pytest.approx(NOW - 10)
    assert enqueued_at(str(said).encode(), NOW, [()]) == pytest.approx(NOW - 10), "the job is the moment"
    for place in (("args", "2", "made"), ("args", "-1"), ("made-at", "x"), ("made",)):
        assert enqueued_at(json.dumps(whole).encode(), NOW, [place]) is None


@pytest.mark.parametrize("said", ["2027-01-15T08:02:00Z", "0001-01-01", "soon", "", "nan", "inf", [], {}, NOW + 61])
def test_what_is_no_moment_in_the_past_is_none(said):
    assert enqueued_at(json.dumps({"at": said}).encode(), NOW, [("at",)]) is None


def test_a_raw_job_says_where_its_moment_stands(clean, look):
    dated = Job("a", queue=Queue("list", "orders"), encoding="raw", enqueued_at="payload.meta.created")
    clean.ask("LPUSH", "orders", json.dumps({"meta": {"created": int((NOW - 7) * 1e3)}}))
    assert look(clean, (dated,)) == Depth(1, 7.0)
    clean.ask("LPUSH", "orders", job(3.0))
    clean.ask("RPOP", "orders")
    assert look(clean, (dated, Job("b", queue=Queue("list", "orders")))) == Depth(1, 3.0)
    assert look(clean, (dated,)) == Depth(1, None)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_job_without_a_date(data):
    assert enqueued_at(data, NOW) is None


def test_deep_json_is_a_job_without_a_date():
    assert enqueued_at(b"[" * 200_000, NOW) is None


@example(entries=6, groups=[(3, 1)], list_jobs=0)
@example(entries=6, groups=[(3, 1), (5, 0), (6, 6)], list_jobs=1)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=st.integers(0, 12),
    groups=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=3),
    list_jobs=st.integers(0, 3),
)
def test_a_stream_waits_for_its_slowest_group(server, entries, groups, list_jobs):
    """A model: group g was given the first ``given`` entries and acknowledged the first ``done`` of those."""
    server.ask("FLUSHALL")
    first = 1_600_000_000_000
    ids = [f"{first + 1000 * i}-0" for i in range(entries)]
    for entry in ids:
        server.ask("XADD", "events", entry, "job", "x")
    for _ in range(list_jobs):
        server.ask("LPUSH", "orders", "raw")
    expected, oldest = entries, ids[:1]
    if entries and groups:
        left = []
        for number, (delivered, done) in enumerate(groups):
            name = f"g{number}"
            assert server.ask("XGROUP", "CREATE", "events", name, "0") == b"+OK\r\n"
            if delivered:
                server.ask("XREADGROUP", "GROUP", name, "c", "COUNT", delivered, "STREAMS", "events", ">", many=True)
            done = min(done, delivered, entries)
            for entry in ids[:done]:
                assert server.ask("XACK", "events", name, entry) == b":1\r\n"
            left.append(ids[done:])
        expected = max(map(len, left))
        oldest = [min(rest[0] for rest in left if rest)] if expected else []
    seen = _look_by_server_clock(server)
    depth, age = seen.waiting, seen.oldest_age
    assert depth == expected + list_jobs
    # What any of the groups was given has been taken, whether or not it was acknowledged.
    given = max((delivered for delivered, _ in groups), default=0)
    assert seen.not_taken == min(expected, max(0, entries - given)) + list_jobs
    if not depth:
        assert age == 0.0
    elif list_jobs:
        assert age is None  # the raw jobs of the list do not say theirs
    else:
        now = _server_time(server)
        assert age == pytest.approx(max(0.0, now - int(oldest[0].partition("-")[0]) / 1e3), abs=1.0)


def _look_by_server_clock(server):
    probe = RedisProbe(parse_address(server.url()), queues_of((*STREAM, Job("a", queue=Queue("list", "orders")))))
    try:
        seen = probe.look()
    finally:
        probe.close()
    return seen


def _server_time(server):
    _, _, seconds, _, micros, _ = server.ask("TIME").split(b"\r\n")
    return int(seconds) + int(micros) / 1e6


def test_the_age_of_an_entry_is_by_the_servers_clock(clean, look):
    added = _server_time(clean)
    clean.ask("XADD", "events", "*", "job", "x")
    time.sleep(0.05)
    before = _server_time(clean)
    seen = look(clean, STREAM, now=NOW + 1e6)
    assert seen.waiting == 1
    assert before - added - 0.02 <= seen.oldest_age <= _server_time(clean) - added + 0.02


def test_deleted_entries_make_the_lag_unknown_and_the_length_counts(clean, look):
    for i in range(1, 6):
        clean.ask("XADD", "events", f"{i}-0", "job", "x")
    clean.ask("XGROUP", "CREATE", "events", "g", "0")
    clean.ask("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "events", ">", many=True)
    clean.ask("XDEL", "events", "3-0")
    assert look(clean, STREAM).waiting == 4
    clean.ask("XREADGROUP", "GROUP", "g", "c", "COUNT", 9, "STREAMS", "events", ">", many=True)
    assert (look(clean, STREAM).waiting, look(clean, STREAM).in_flight) == (
        4,
        4,
    )  # all delivered: they are known exactly
    clean.ask("XACK", "events", "g", "1-0", "2-0", "4-0", "5-0")
    assert look(clean, STREAM) == Depth(0, 0.0, in_flight=0)


def test_an_emptied_stream_with_groups(clean, look):
    clean.ask("XADD", "events", "1-0", "job", "x")
    clean.ask("XGROUP", "CREATE", "events", "g", "0")
    clean.ask("XTRIM", "events", "MAXLEN", 0)
    assert look(clean, STREAM) == Depth(0, 0.0, in_flight=0)


def test_the_last_number_of_a_millisecond(clean, look):
    clean.ask("XADD", "events", f"5-{2**64 - 1}", "job", "x")
    clean.ask("XADD", "events", "6-0", "job", "x")
    clean.ask("XGROUP", "CREATE", "events", "g", f"5-{2**64 - 1}")
    assert look(clean, STREAM).waiting in (1, 2)  # without a known lag the length counts
    assert look(clean, STREAM).oldest_age == pytest.approx(_server_time(clean), abs=1.0)


def test_groups_before_redis_7_have_no_lag(scripted):
    """Answers as Redis 6 gives them: what is behind the last delivery cannot be told, so the length counts."""
    entry = b"*1\r\n*2\r\n$3\r\n%d-0\r\n*2\r\n$1\r\nf\r\n$1\r\nx\r\n"
    ends = b"*2\r\n$10\r\n1800000000\r\n$1\r\n0\r\n:9\r\n" + entry % 1 + entry % 9
    aside = b"-ERR no such subcommand\r\n" + b"-ERR unknown\r\n" * 2 + b":-1\r\n"
    group = b"*8\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:1\r\n$7\r\npending\r\n:2\r\n"
    group += b"$17\r\nlast-delivered-id\r\n$3\r\n%d-0\r\n"
    rest = b"*4\r\n:2\r\n$3\r\n3-0\r\n$3\r\n4-0\r\n*0\r\n" + entry % 5
    for delivered, waiting in ((4, 9), (9, 2)):
        server = scripted(answering(ends + b"*1\r\n" + group % delivered + aside, rest))
        probe = RedisProbe(parse_address(server.url), queues_of(STREAM))
        assert probe.look() == Depth(waiting, pytest.approx(1_800_000_000 - 0.003), untaken=0, in_flight=2)
        probe.close()


def test_a_paused_server_costs_at_most_a_second_and_is_seen_again(servers, any_binary):
    server = servers(any_binary)
    server.ask("LPUSH", "orders", "x")
    probe = RedisProbe(parse_address(server.url()), queues_of(LISTS))
    assert probe.look().waiting == 1
    server.process.send_signal(signal.SIGSTOP)
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(TargetError, match="no answer in time") as caught:
            probe.look()
        assert time.monotonic() - start < 1.0
        assert caught.value.kind == "lost"
    server.process.send_signal(signal.SIGCONT)
    assert probe.look().waiting == 1
    probe.close()


def test_a_lost_connection_is_made_anew(servers, any_binary):
    server = servers(any_binary)
    probe = RedisProbe(parse_address(server.url()), queues_of(LISTS))
    probe.look()
    server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(TargetError) as caught:
        probe.look()
    assert caught.value.kind == "lost"
    assert probe.look() == Depth(0, 0.0)
    server.stop()
    for _ in range(2):
        with pytest.raises(TargetError) as caught:
            probe.look()
        assert caught.value.kind == "lost"
    probe.close()


def test_a_queue_that_turned_into_something_else(clean, look):
    clean.ask("SET", "orders", "x")
    with pytest.raises(TargetError, match="WRONGTYPE"):
        look(clean, LISTS)


LISTED = [
    name
    for name in names()
    if [*format_of(name).keys(Job("j", queue=Queue(name, "q"), call="a.b")).values()][:1] == ["list"]
]


@pytest.mark.parametrize("kind", LISTED)
def test_a_list_of_any_framework_that_is_deleted_was_not_worked_off(clean, kind):
    [queue] = queues_of([Job("j", queue=Queue(kind, "q"), call="a.b")])
    clean.ask("RPUSH", queue.key, "1", "2", "3", "4")
    probe = RedisProbe(parse_address(clean.url()), [queue])
    assert probe.look().change.losses == ()
    clean.ask("RPOP", queue.key)
    assert (probe.look().change.losses, probe.look().change.taken) == ((), False)
    clean.ask("DEL", queue.key)
    [loss] = probe.look().change.losses
    assert (loss.jobs, "the server was given DEL" in loss.words) == (3, True)
    probe.close()


def test_one_round_trip_for_lists(scripted):
    heard = []

    def handle(connection):
        while data := connection.recv(65536):
            heard.append(data)
            connection.sendall(b":0\r\n$-1\r\n" * 2 + b"-ERR unknown command\r\n" * 2 + b":-2\r\n" * 2)

    server = scripted(handle)
    probe = RedisProbe(parse_address(server.url), queues_of(LISTS))
    for _ in range(3):
        assert probe.look() == Depth(0, 0.0)
    probe.close()
    assert len(heard) == 3
