"""The jobs asked after: which, what is kept of each, where those are that nobody tells of, and what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.far_runs import JOBS, folded, plan_in

from plg import worker
from plg.plan import Plan
from plg.queues.base import Question
from plg.queues.registry import format_of
from plg.queues.tracing import GONE, Trace, Tracing
from plg.runner.far_hooks import Hooks, Told
from plg.runner.far_jobs import FarJobs, _sample
from plg.runner.far_place import place_silent
from plg.runner.far_side import MOST_BYTES, WHILE_SENDING, FarReader
from plg.targets.base import Depth, TargetError
from plg.testing import VirtualClock


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_in(tmp_path)


def jobs_of(plan: Plan, kind: str = "rq", **more: Any) -> FarJobs:
    [job] = plan.scenario.jobs
    return FarJobs(plan, [format_of(kind).tracing(job, "run")], **more)


def told(seq: int, end: str = "done", attempt: int = 1, worker: str = "w") -> Told:
    return Told(seq, 10.0 + attempt, 11.0 + attempt if end else None, end, attempt, worker)


@pytest.mark.parametrize(("planned", "most"), [(10, 10), (1000, 100), (1_000_000_007, 5000)])
def test_a_sample_has_one_job_of_each_stretch(planned: int, most: int) -> None:
    found = _sample(planned, most, 7)
    assert len(found) == min(planned, most)
    assert (np.diff(found) > 0).all()
    assert found[0] >= 0
    assert found[-1] < planned
    width = planned / len(found)
    assert np.abs(found - (np.arange(len(found)) + 0.5) * width).max() <= width
    assert (_sample(planned, most, 7) == found).all()


def test_what_workers_tell_is_kept_by_run(plan: Plan) -> None:
    jobs = jobs_of(plan, "celery")
    assert jobs.any_open()
    jobs.hear(told(3, end=""))
    assert jobs.are("running")[3]
    jobs.hear(told(3, end="retry"))
    jobs.hear(told(3, end="retry", attempt=2))
    jobs.hear(told(3, attempt=3))
    jobs.hear(told(4))
    jobs.hear(told(4, worker="other"))
    jobs.hear(told(5, end=""))
    jobs.hear(told(5, worker="other"))
    jobs.hear(told(6, end="failed"))
    jobs.hear(told(999))
    jobs.correct({"w": 0.5, "nobody": 3.0})
    assert (jobs.failures[3], jobs.retries[3], jobs.duplicates[3]) == (2, 2, 0)
    assert (jobs.started[3], jobs.began[3], jobs.finished[3]) == (11.5, 13.5, 14.5)
    assert (jobs.duplicates[4], jobs.duplicates[5]) == (1, 1)
    assert jobs.are("completed")[[3, 4, 5]].all()
    assert jobs.are("dead")[6]
    assert jobs.workers == {"w", "other"}


def test_what_a_worker_tells_stands_before_what_the_framework_says(plan: Plan) -> None:
    jobs = jobs_of(plan)
    jobs.note(2, Trace("completed", 5.0, 5.0, 6.0))
    jobs.hear(told(2, end="retry"))
    jobs.hear(told(2, attempt=2))
    jobs.note(2, Trace("completed", None, 12.0, 13.0, retries=1))
    assert (jobs.started[2], jobs.finished[2], jobs.retries[2]) == (11.0, 13.0, 1)
    jobs.note(3, Trace("completed", 5.0, 5.0, 6.0))
    jobs.note(3, Trace("gone"))
    assert jobs.are("completed")[3], "its record has expired since"


def test_jobs_that_nobody_tells_of_are_where_the_queue_has_them(plan: Plan) -> None:
    jobs = jobs_of(plan, "celery")
    for seq in range(10):
        jobs.hear(told(seq))
    jobs.hear(told(10, end=""))
    jobs.hear(told(11, end=""))
    place_silent(jobs, Depth(5, 0.0, in_flight=1), Depth(5 + 4, 0.0, in_flight=1 + 3))
    # Two were begun and a third is held; the last four wait, and what is more than that is nowhere.
    assert np.flatnonzero(jobs.are("waiting")).tolist() == [16, 17, 18, 19]
    assert np.flatnonzero(jobs.are("running")).tolist() == [10, 11, 15]
    assert np.flatnonzero(jobs.are("gone")).tolist() == [12, 13, 14]


def test_a_job_that_was_begun_and_is_held_no_longer_is_gone(plan: Plan) -> None:
    jobs = jobs_of(plan, "celery")
    for seq in range(JOBS):
        jobs.hear(told(seq, end="" if seq in (4, 9) else "done"))
    place_silent(jobs, Depth(0, 0.0, in_flight=0), Depth(0, 0.0, in_flight=1))
    assert int(jobs.are("gone").sum()) == 1
    unknown = jobs_of(plan, "huey")
    unknown.hear(told(4, end=""))
    place_silent(unknown, Depth(0, 0.0), Depth(0, 0.0))
    assert unknown.are("running")[4], "huey does not say what its workers hold"


class Answers:
    """An `Inquiry` that answers as RQ's keys would, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.silent = False
        self.status: bytes | None = b"finished"

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        if self.silent:
            raise TargetError("lost", "no answer")
        self.asked += questions
        stamps = [b"2026-11-28T19:00:01.500000Z", b"2026-11-28T19:00:03.000000Z"]
        return [[self.status, *stamps, None, None] if words[0] == "HMGET" else 1 for words in questions]

    def clock_offset(self) -> float:
        return 0.0

    def close(self) -> None:
        """Nothing to hang up."""


def reader_of(plan: Plan, answers: Answers) -> FarReader:
    reader = FarReader(jobs_of(plan), answers, wanted=False)  # type: ignore[arg-type]
    reader._clock = VirtualClock()
    return reader


def test_the_last_look_asks_after_every_job_that_has_not_ended(plan: Plan) -> None:
    answers = Answers()
    reader = reader_of(plan, answers)
    reader.jobs.note(3, Trace("completed", 1.0, 1.0, 2.0))
    reader.last_look()
    assert len(answers.asked) == 2 * (JOBS - 1)
    assert reader.questions == len(answers.asked)
    assert not reader.jobs.any_open()
    assert all(command[0] in ("HMGET", "XLEN") for command in answers.asked), "nothing is written"


def test_a_server_that_is_silent_is_told_of_and_asked_again(plan: Plan) -> None:
    answers = Answers()
    reader = reader_of(plan, answers)
    answers.silent = True
    reader.last_look()
    assert reader.fault == "no answer"
    answers.silent = False
    reader.last_look()
    assert reader.fault == ""
    assert not reader.jobs.any_open()


def test_a_record_that_is_none_leaves_the_others_alone(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of(plan, Answers())
    [own] = reader.jobs.tracings
    assert own is not None
    assert own.read is not None
    calls = []

    def read(answers: Sequence[Any]) -> Trace:
        calls.append(answers)
        if len(calls) == 2:
            raise ValueError("odd")
        assert own.read is not None
        return own.read(answers)

    reader.jobs.tracings = [Tracing(own.number, own.questions, read)]
    reader.last_look()
    assert reader.odd == "a record cannot be read: odd"
    assert int(reader.jobs.are("completed").sum()) == JOBS - 1


def test_what_is_read_a_second_is_bounded() -> None:
    assert WHILE_SENDING <= 500
    assert MOST_BYTES <= 5_000_000


class Streams:
    """An `Inquiry` for the streams of workers."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, list[bytes]]] = []
        self.asked: list[Question] = []

    def ask(self, questions: Sequence[Question]) -> list[Any]:
        self.asked += questions
        return [self._answer(words) for words in questions]

    def _answer(self, words: Question) -> Any:
        if words[0] != "XRANGE":
            return 1
        after = str(words[2] if isinstance(words[2], str) else words[2].decode()).lstrip("(-")  # type: ignore[union-attr]
        return [entry for entry in self.entries if not after or entry[0] > after.encode()][: int(words[5])]


def entry(number: bytes, at_ms: int, **more: str) -> tuple[bytes, list[bytes]]:
    fields = {"id": number.decode(), **more}
    return b"%d-0" % at_ms, [word.encode() for pair in fields.items() for word in pair]


def test_entries_of_workers_are_read_in_pieces_and_their_clocks_compared(plan: Plan) -> None:
    [tracing] = jobs_of(plan, "celery").tracings
    assert tracing is not None
    streams = Streams()
    hooks = Hooks([tracing], streams)  # type: ignore[arg-type]
    hooks.open("run", 60.0)
    assert [words[0] for words in streams.asked] == ["XADD", "EXPIRE"]
    streams.entries = [
        (b"1000-0", [b"run", b"run"]),
        entry(tracing.id_of(3), 2000, s="0.9", f="1.0", end="done", n="1", w="slow", t="1.0"),
        entry(tracing.id_of(4), 2500, s="1.2", f="1.4", end="done", n="1", w="slow", t="1.4"),
        entry(tracing.id_of(5), 2600, s="2.5", f="2.5995", end="failed", n="2", w="right", t="2.5995"),
        entry(b"not-ours", 2700, s="x"),
        (b"2800-0", [b"odd"]),
    ]
    found, more = hooks.read(2)
    assert (len(found), more) == (1, True)
    rest, more = hooks.read(10)
    assert ([each.seq for each in (*found, *rest)], more) == ([3, 4, 5], False)
    assert rest[-1] == Told(5, 2.5, 2.5995, "failed", 2, "right")
    assert hooks.offsets == {"slow": pytest.approx(1.0, abs=0.01), "right": 0.0}
    assert ("XTRIM", tracing.stream, "MINID", b"2800-0") in streams.asked
    hooks.close()
    assert streams.asked[-1] == ("DEL", tracing.stream)


def test_records_that_a_worker_gave_up_are_counted_and_make_the_counts_doubtful(plan: Plan) -> None:
    [tracing] = jobs_of(plan, "celery").tracings
    assert tracing is not None
    sent: list[list[Any]] = []

    class Client:
        reached = False

        def pipeline(self, transaction: bool) -> Client:
            if not self.reached:
                raise ConnectionError
            return self

        def execute_command(self, *words: Any) -> None:
            sent.append(list(words[7:]))

        def execute(self) -> None:
            """All is sent."""

    client = Client()
    recorder = worker.Recorder(lambda: client, at_once=True)
    recorder.ended(tracing.id_of(0).decode(), "done")
    client.reached = True
    for seq in range(1, 10_006):  # as many more have begun than are kept
        recorder.started(tracing.id_of(seq).decode())
    recorder.flush()
    lost = [words[words.index("lost") + 1] for words in sent if "lost" in words]
    assert (len(sent), lost) == (10_000, ["6"])
    streams = Streams()
    hooks = Hooks([tracing], streams)  # type: ignore[arg-type]
    streams.entries = [(b"%d-0" % n, [str(word).encode() for word in words]) for n, words in enumerate(sent[:5], 1)]
    hooks.read(10)
    assert hooks.missed == "workers gave up 6 records of jobs that they could not send in time"


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("expired", "2 of them had expired before a worker began them"),
        ("unknown", "2 of them were given up by workers that do not know what they call"),
        ("twice", "2 of them were dropped (twice)"),
    ],
)
def test_jobs_that_workers_gave_up_are_lost_with_their_reason(tmp_path: Path, why: str, said: str) -> None:
    def drops(jobs: FarJobs, server: float) -> None:
        for place in range(JOBS):
            due = server + float(jobs.due[place])
            end = "dropped" if place in (3, 7) else "done"
            jobs.hear(Told(int(jobs.seq[place]), due + 1.0, due + 1.5, end, 1, "w", why if end == "dropped" else ""))

    recording = folded(plan_in(tmp_path, "celery"), dict.fromkeys(range(JOBS), GONE), before=drops)
    assert recording.total("lost") == 2
    assert recording.total("job_failures") == recording.total("duplicates") == 0
    assert recording.far is not None
    assert recording.far.found == (f"2 jobs that Redis confirmed can be found nowhere: {said}",)


def test_of_several_generators_the_last_one_removes_the_streams(plan: Plan) -> None:
    [tracing] = jobs_of(plan, "celery").tracings
    assert tracing is not None
    streams = Streams()
    first, last = (Hooks([tracing], streams, 2) for _ in range(2))  # type: ignore[arg-type]
    streams.entries = [entry(tracing.id_of(3), 2000, s="1", f="2", end="done")]
    assert len(first.read(10)[0]) == len(last.read(10)[0]) == 1
    streams.entries.append((b"3000-0", [b"left", b"1"]))
    first.close()
    assert not any(words[0] in ("DEL", "XTRIM") for words in streams.asked)
    streams.entries.append((b"3001-0", [b"left", b"1"]))
    last.close()
    assert streams.asked[-1] == ("DEL", tracing.stream)
