"""What a framework's own record of a job says, and that a hostile one does nothing."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import pytest
from support.frameworks import HOOKS

from plg import worker
from plg.queues.base import Job, Queue, Retry
from plg.queues.pickles import plain
from plg.queues.registry import SHIPPED, format_of
from plg.queues.tracing import GONE, Trace, Tracing

RUN = "0123456789ab"


def tracing(kind: str, retry: Retry | None = None, **settings: object) -> Tracing:
    found = format_of(kind).tracing(Job("work", Queue(kind, "shop", settings), call="f", retry=retry), RUN)
    assert found is not None
    return found


def trace(kind: str, *answers: object, **more: object) -> Trace:
    read = tracing(kind, **more).read  # type: ignore[arg-type]
    assert read is not None
    return read(answers)


@pytest.mark.parametrize("kind", SHIPPED)
def test_ids_are_those_of_the_jobs_and_lead_back_to_their_numbers(kind: str) -> None:
    found = tracing(kind)
    for seq in (0, 7, 4_000_000_000):
        number = found.id_of(seq)
        assert number.startswith(found.head)
        assert found.seq_of(number) == seq
    assert found.seq_of(b"other") is None


@pytest.mark.parametrize("kind", ["rq", "celery", "arq", "dramatiq", "taskiq", "saq", "huey", "bullmq", "asynq"])
def test_a_worker_knows_the_jobs_of_plg_and_their_stream(kind: str) -> None:
    found = tracing(kind)
    number = found.id_of(12).decode()
    if kind == "huey":
        number += "1795895224844"
    head = worker.head_of(number)
    assert head is not None
    assert found.stream == worker.PREFIX + head


def test_a_worker_leaves_other_jobs_alone() -> None:
    import uuid

    draws = [
        str(uuid.UUID(int=place * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128), version=4)) for place in range(4000)
    ]
    assert sum(worker.head_of(each) is not None for each in draws) < 20
    assert worker.head_of("17") is worker.head_of("") is None


@pytest.mark.parametrize("name", HOOKS)
def test_the_page_on_workers_shows_the_line_of_each_framework(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "workers.md").read_text(encoding="utf-8")
    call = re.search(r"plg\.worker\.\w+\(", HOOKS[name])
    assert call is not None
    assert page.count(call[0]) >= 1
    assert hasattr(worker, call[0][len("plg.worker.") : -1])


def test_rq() -> None:
    def told(status: bytes, **more: object) -> Trace:
        fields = [status, b"2026-11-28T19:00:01.500000Z", b"2026-11-28T19:00:03.000000Z", None, b"w1"]
        return trace("rq", fields, more.pop("results", 1), **more)

    done = told(b"finished")
    assert (done.state, done.finished - done.started, done.worker, done.duplicates) == ("completed", 1.5, "w1", 0)
    assert told(b"finished", results=3).duplicates == 2
    assert told(b"failed").failures == 1
    assert told(b"started").finished is None
    assert trace("rq", [None] * 5, 0) == GONE
    again = trace("rq", [b"failed", b"", b"", b"0", None], 3, retry=Retry(2))
    assert (again.failures, again.retries, again.duplicates, again.started) == (3, 2, 0, None)


def test_arq() -> None:
    result = {"t": 1, "f": "f", "a": (), "k": {}, "et": 1, "s": True, "r": None, "st": 1500, "ft": 2500, "q": "q"}
    assert trace("arq", pickle.dumps(result), 0, 0) == Trace("completed", 1.5, 1.5, 2.5)
    failed = trace("arq", pickle.dumps({**result, "s": False, "t": 3, "r": ValueError("x")}), 0, 0)
    assert (failed.state, failed.failures, failed.retries, failed.started, failed.finished) == ("dead", 3, 2, None, 2.5)
    assert trace("arq", b"", 1, 1).state == "running"
    assert trace("arq", b"", 0, 1).state == "waiting"
    assert trace("arq", b"", 0, 0) == GONE
    assert trace("arq", pickle.dumps(result)[:-9], 0, 0) == Trace("completed")


def test_saq() -> None:
    done = b'{"status":"complete","started":1500,"completed":2500,"attempts":1,"worker_id":"w"}'
    assert trace("saq", done) == Trace("completed", 1.5, 1.5, 2.5, worker="w")
    dead = trace("saq", b'{"status":"failed","started":1500,"completed":2500,"attempts":3}')
    assert (dead.state, dead.failures, dead.retries, dead.started) == ("dead", 3, 2, None)
    assert trace("saq", b'{"status":"queued"}') == Trace("waiting")
    assert trace("saq", b'{"status":"queued","attempts":1}').state == "delayed"
    assert trace("saq", None) == GONE
    assert trace("saq", b"[broken") == Trace("waiting")


def test_bullmq() -> None:
    def told(began: bytes | None, finished: bytes | None, made: bytes, starts: bytes, done: int) -> Trace:
        return trace("bullmq", [b"1", began, finished, made, starts, b"0", b"me"], done)

    assert told(b"1500", b"2500", b"1", b"1", 1) == Trace("completed", 1.5, 1.5, 2.5, worker="me")
    dead = told(b"1500", b"2500", b"3", b"3", 0)
    assert (dead.state, dead.failures, dead.retries, dead.duplicates, dead.started) == ("dead", 3, 2, 0, None)
    assert told(b"1500", b"2500", b"1", b"2", 1).duplicates == 1
    assert told(b"1500", None, b"", b"1", 0).state == "running"
    assert told(None, None, b"", b"", 0).state == "waiting"
    assert told(b"1500", None, b"1", b"1", 0).state == "delayed"
    assert trace("bullmq", [None] * 7, 0) == GONE


def test_asynq() -> None:
    assert tracing("asynq").read is None
    message = b"\x0a\x01f\x12\x02{}\x28\x05\x30\x02"
    dead = trace("asynq", [b"archived", message], retention=60)
    assert (dead.state, dead.failures, dead.retries) == ("dead", 3, 2)
    assert trace("asynq", [b"completed", b"\x0a\xff\xff"], retention=60) == Trace("completed")
    assert trace("asynq", [None, None], retention=60) == GONE
    assert list(format_of("asynq").faults({"retention": -1}))
    assert not list(format_of("asynq").faults({"retention": 600}))


JUNK = (None, b"", b"\xff", b"-1", 7, [], [b"x"] * 9, b"9" * 40)


@pytest.mark.parametrize("kind", ["rq", "arq", "saq", "bullmq", "asynq"])
def test_what_is_no_record_is_refused_or_says_nothing(kind: str) -> None:
    """It never brings anything about but the errors that the reader passes over."""
    settings = {"retention": 60} if kind == "asynq" else {}
    read = tracing(kind, **settings).read
    assert read is not None
    for first in (
        *JUNK,
        *([junk] * 7 for junk in JUNK),
        *([junk] * 5 for junk in JUNK),
        *([junk] * 2 for junk in JUNK),
    ):
        for second in JUNK:
            for answers in ((first,), (first, second), (first, second, second)):
                try:
                    found = read(answers)
                except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError):
                    continue
                assert isinstance(found, Trace)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    found = plain(pickle.dumps({"st": 5, "r": Bomb(tmp_path / "made")}))
    assert found["st"] == 5
    assert not (tmp_path / "made").exists()
    assert plain(b"cos\nsystem\n(S'touch made'\ntR.") is not None
    assert plain(b"\x80\x04broken") is None
