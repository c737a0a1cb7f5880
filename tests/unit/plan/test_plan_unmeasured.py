"""Lines that can have no data, or look past the work, are said before anything is sent: by the plan and by lint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plg.cli.main import main
from plg.diagnostics import ScenarioError
from plg.language.load import load
from plg.plan import make_plan

RAW = 'job mail { queue "q" encoding raw payload { n: "${seq}" } }'
DATED = 'job mail { queue "q" encoding raw enqueued_at payload.at payload { at: "${now_ms}" } }'
STREAM = 'job mail { stream "q" encoding raw payload { n: "${seq}" } }'
BOTH = RAW + 'job other { queue "q" payload { } }'
LATENCY = "latency is the answer of Redis and not the work"


def scenario(folder: Path, expect: str, statements: str = "", limits: str = "") -> Path:
    path = folder / "s.plg"
    path.write_text(
        f"scenario s {{ {statements}\n"
        "traffic { calm: steady 20/s over 2s then rest: pause 3s then rush: steady 50/s over 1s }\n"
        f"guardrails {{ max_rate 50/s max_total_jobs 1_000 max_duration 1m {limits} }}\nexpect {{\n{expect}\n}} }}\n"
    )
    return path


def linted(path: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, int | None]]:
    assert main(["lint", str(path), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return [
        (fault["code"], f"{fault['message']}; {fault['help']}".removesuffix("; "), fault["line"]) for fault in found
    ]


def planned(path: Path) -> list[tuple[str, str, int | None]]:
    codes = ("never-measured", "queue-not-judged", "watch-too-short")
    warnings = make_plan(load(path).scenario).warnings
    return [(w.code, w.message, w.line) for w in warnings if w.code in codes]


@pytest.mark.parametrize(
    ("line", "statements", "says"),
    [
        ("queue_age < 30s", RAW, "queue_age has no data while jobs of mail wait: a raw job in a list does not say"),
        ("queue_age < 30s", BOTH, "queue_age has no data while jobs of mail wait"),
        ("queue_age during calm < 2 * queue_age during rush", RAW, "queue_age has no data while jobs of mail wait"),
        ("queue_age < 30s", DATED, ""), ("queue_age < 30s", STREAM, ""), ("queue_age < 30s", "", ""),
        ("queue_depth < 30", RAW, ""),
        ("p50(queue_wait) < 1s", 'job j { queue rq "q" call "shop.f" }', ""),
        ("p99.9(queue_depth) < 30 during calm", "watch 0s", "during calm has no data: it takes 1,000 looks"),
        ("p99(queue_depth) < 30 during calm", "watch 0s", "it takes 100 looks, there are 20"),
        ("p99(queue_depth) < 30", "", ""), ("p90(queue_depth) < 30", "watch 0s", ""),
        ("p95(cpu) < 90% during rush", "", "p95(cpu) during rush has no data: it takes 20 looks, there are 10"),
        ("max(latency) < 1s during rest", "", "max(latency) during rest has no data: no job is due during rest"),
        ("deviation < 5% during rest", "", "deviation during rest has no data: no job is due during rest"),
        ("error_rate < 5% during rest", "", "error_rate during rest has no data"),
        ("errors == 0 during rest", "", ""),
        ("p99(latency) < 1s during calm", "", "p99(latency) during calm has no data: it takes 100 jobs, 40 are due"),
        ("p50(latency) during calm < 2 * p50(latency) during rest", "", "p50(latency) during rest has no data"),
        ("drain_time < 5m", "", "watched for 1m after the last send: what waits longer has no data; write `watch 6m`"),
        ("drain_time < 5m", "watch 5m", ""),
        ("queue_age < 20s", "watch 10s", "what waits longer is not judged; write `watch 23s`"),
        ("queue_depth < 20", "watch 0s", ""),
    ],
)  # fmt: skip
def test_what_can_have_no_data_is_said_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, statements: str, says: str
) -> None:
    path = scenario(tmp_path, f"queue_depth < 1_000\n{line}", statements)
    found = planned(path)
    assert linted(path, capsys) == found, "lint says what the plan says"
    assert [line for _, _, line in found] == ([6] if says else [])
    assert says in (found[0][1] if found else "")


def test_a_limit_on_ages_that_cannot_be_told_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [(code, message, _)] = linted(scenario(tmp_path, "queue_depth < 9", RAW, "max_queue_age 5s"), capsys)
    assert code == "never-measured"
    assert message.startswith("max_queue_age does not hold while jobs of mail wait")


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("errors == 0\nmax(latency) < 1s", f"no line looks at the queue: {LATENCY}; queue_age, drain_time"),
        ("errors == 0", "so none tells whether jobs are taken: queue_age, drain_time"),
        ("errors == 0\nqueue_depth < 9", ""), ("warn drain_time < 9s", ""),
        ("p50(latency) during calm < 2 * queue_age during rush", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_scenario_that_looks_past_the_work_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expect: str, says: str
) -> None:
    found = linted(scenario(tmp_path, expect), capsys)
    codes = [code for code, _, _ in found if code != "nothing-promised"]
    assert codes == (["queue-not-judged"] if says else [])
    assert says in (found[0][1] if found else "")


@pytest.mark.parametrize("expect", ["", "warn drain_time < 9s"])
def test_a_scenario_that_promises_nothing_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, expect: str
) -> None:
    path = scenario(tmp_path, expect)
    path.write_text(path.read_text().replace("over 2s", "over 200ms").replace("pause 3s", "pause 1ms"))
    [(code, message, line)] = linted(path, capsys)
    assert (code, line) == ("nothing-promised", 1)
    told = "no line says what must hold, so only a target that fails or a limit that stops the run can fail a check"
    assert message.startswith(told)
    assert main(["plan", str(path)]) == 0
    assert told in " ".join(capsys.readouterr().out.split())
    monkeypatch.chdir(tmp_path)
    code = main(["check", str(path), "--target", "embedded"])
    said = capsys.readouterr().out
    assert told in " ".join(said.split())
    # On a busy machine the run may be INVALID.
    last = said.rstrip().splitlines()[-1]
    assert code == 5 or last.startswith("exit 0: no line says what must hold, so nothing was judged"), said


def test_plan_says_what_latency_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for expect, times in (("max(latency) < 1s", 1), ("max(latency) < 1s queue_depth < 9", 1), ("queue_depth < 9", 0)):
        assert main(["plan", str(scenario(tmp_path, expect))]) == 0
        assert " ".join(capsys.readouterr().out.split()).count(LATENCY) == times


def test_lint_needs_no_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLG_EXAMPLE_UNSET", raising=False)
    found = linted(scenario(tmp_path, "errors == 0", "target env PLG_EXAMPLE_UNSET"), capsys)
    assert [code for code, _, _ in found] == ["queue-not-judged"]


DEADLINES = [
    ("p95(latency) returns to 5ms within 5s after rush", "", "never-measured", "no job is due after rush"),
    ("p95(latency) returns to 5ms within 5s of rush", "", "", ""),
    ("p99(latency) returns to 5ms within 5s of rush", "", "few-arrivals-per-window", "some 50 jobs are due in 1s"),
    ("drained within 90s after rush", "watch 30s", "watch-too-short", "write `watch 1m31s`, or leave it out"),
    ("drained within 90s after rush", "", "", ""),
]


@pytest.mark.parametrize(("line", "statements", "code", "words"), DEADLINES)
def test_lines_with_a_deadline_are_foreseen(line: str, statements: str, code: str, words: str, tmp_path: Path) -> None:
    path = scenario(tmp_path, f"queue_depth < 1\n{line}", statements)
    found = [
        warning for warning in make_plan(load(path).scenario).warnings if "-" in warning.code and warning.line == 6
    ]
    assert [warning.code for warning in found] == ([code] if code else [])
    assert all(words in warning.message for warning in found)


def test_the_plan_says_until_when_it_is_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scenario(tmp_path, "drained within 90s after rush\nworkers >= 0 within 5s of rush", "workers 1 each 1ms")
    assert make_plan(load(path).scenario).to_document()["watched_for"] == {
        "line": "drained within 90s after rush", "until_s": 96.5,
    }  # fmt: skip
    assert main(["plan", str(path)]) == 0
    assert "watch until 1m36s at the most, for `drained within 90s after rush`" in " ".join(
        capsys.readouterr().out.split()
    )


CELERY = 'job pay { queue celery "pay" call "shop.pay" }'


@pytest.mark.parametrize(
    ("expect", "statements", "told"),
    [
        ("queue_depth < 9", CELERY, True),
        ("errors == 0\ndrain_time < 9s", CELERY, True),
        ("queue_depth < 9\nlost == 0", CELERY, False),
        ("queue_depth < 9\nwarn completed >= 1", CELERY, False),
        ("queue_depth < 9\nworkers >= 1", CELERY, False),
        ("queue_depth < 9", 'job mail { queue "q" }', False),
        ("errors == 0", CELERY, False),
    ],
)
def test_lines_on_the_queue_alone_are_told_what_they_do_not_see(expect, statements, told, tmp_path, capsys) -> None:
    """A worker that does not know a task throws its job away, and the queue is empty as well."""
    found = [(words, line) for code, words, line in linted(scenario(tmp_path, expect, statements), capsys)
             if code == "work-not-judged"]  # fmt: skip
    assert bool(found) is told
    if told:
        [(words, _)] = found
        assert "throws the job away" in words
        assert "add `lost == 0`" in words


@pytest.mark.parametrize("line", ["lost == 0 or stop", "p95(queue_wait) < 9s or stop", "job_failures == 0 or stop"])
def test_what_is_known_once_the_run_is_over_is_refused_to_end_it(line: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        make_plan(load(scenario(tmp_path, line, CELERY)).scenario)
    [fault] = caught.value.diagnostics
    assert fault.code == "unexpected-stop"
    assert "read to the end once it is over" in fault.message


def test_what_a_format_cannot_tell_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scenario(tmp_path, "workers >= 1\nmax(in_flight) < 5\ndelayed < 5\nqueue_depth < 5")
    assert main(["lint", str(path), "--format", "json"]) == 2
    found = [fault for fault in json.loads(capsys.readouterr().out) if fault["severity"] == "error"]
    assert [(fault["code"], fault["line"]) for fault in found] == [("measure-not-given", line) for line in (5, 6, 7)]
    assert "these tell it: rq" in found[0]["help"]
    assert main(["plan", str(path)]) == 2
    assert "measure-not-given" in capsys.readouterr().err
    # Plg's own workers tell of themselves.
    path = scenario(tmp_path, "workers >= 1\nmax(in_flight) < 5\nqueue_depth < 5", "workers 1 each 1ms")
    assert main(["plan", str(path)]) == 0


def test_what_became_of_jobs_that_do_not_say_which_they_are_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(tmp_path, "dead == 0\nwarn p50(queue_wait) < 2 * p50(queue_wait) during calm\nqueue_depth < 5", RAW)
    assert main(["lint", str(path), "--format", "json"]) == 2
    found = [fault for fault in json.loads(capsys.readouterr().out) if fault["severity"] == "error"]
    assert [(fault["code"], fault["line"]) for fault in found] == [("measure-not-given", line) for line in (5, 6)]
    assert found[0]["message"].startswith("dead cannot be told: jobs of mail do not say which they are")
    assert main(["plan", str(scenario(tmp_path, "dead == 0\nqueue_depth < 5"))]) == 0


def test_the_plan_says_from_when_on_delayed_jobs_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = 'job mail { queue bullmq "mail" call "welcome" payload { } delay 8s }'
    path = scenario(tmp_path, "drain_time < 5s\nqueue_depth < 9", job)
    plan = make_plan(load(path).scenario)
    assert plan.to_document()["delays"] == [{"job": "mail", "delay_s": 8.0}]
    assert main(["plan", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "delay mail 8s after sending: that is when these jobs are due" in said
    assert "latency is the answer of Redis to the sending" in said


def test_what_workers_must_tell_is_said_once(tmp_path):
    lines = "errors == 0\np50(queue_wait) < 1s\np50(run_time) < 1s\nlost == 0\np75(queue_wait) < 1s\nqueue_depth < 9"
    path = scenario(tmp_path, lines, 'job j { queue celery "q" call "w" }')
    found = [(w.message, w.line) for w in make_plan(load(path).scenario).warnings if w.code == "workers-tell"]
    assert found == [
        (
            "queue_wait, run_time and lost have data only where the workers tell of their jobs: "
            "celery does not record them; add plg.worker to the workers, which is one line: docs/workers.md", 6,
        )
    ]  # fmt: skip
