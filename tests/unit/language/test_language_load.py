"""The door: files that are no scenarios, documents from elsewhere, and what a scenario holds in the end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.language_documents import CASES

from plg.diagnostics import ScenarioError
from plg.language import load as loading
from plg.language import validate
from plg.language.load import lint, load, load_document, read_text
from plg.language.source import MAX_BYTES
from plg.language.starters import STARTERS, starter, workflow
from plg.queues.base import Job, Queue, Retry
from plg.scenario import Arrivals, ErrorRateLimit, Guardrails, Workers

LIMITS = {"max_rate": 5, "max_total_jobs": 5, "max_duration": 5}


def code(path: Path) -> str:
    found, text = lint(path)
    assert text == ""
    (diagnostic,) = found
    with pytest.raises(ScenarioError):
        load(path)
    return diagnostic.code


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert code(tmp_path / "gone.plg") == "unreadable-file"
    assert code(tmp_path / "nul\0.plg") == "unreadable-file"
    (tmp_path / "folder.plg").mkdir()
    assert code(tmp_path / "folder.plg") == "unreadable-file"
    (tmp_path / "x.txt").write_text("scenario x {}")
    assert code(tmp_path / "x.txt") == "unknown-format"
    (tmp_path / "binary.yaml").write_bytes(b"a: \0")
    assert code(tmp_path / "binary.yaml") == "not-text"
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    assert code(tmp_path / "latin.json") == "not-text"
    with (tmp_path / "large.plg").open("wb") as stream:
        stream.truncate(50 * 2**20)
    assert code(tmp_path / "large.plg") == "file-too-large"
    (tmp_path / "loop.plg").symlink_to(tmp_path / "loop.plg")
    assert code(tmp_path / "loop.plg") == "unreadable-file"


def test_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    """A device without an end is not read to its end."""
    (tmp_path / "zero.plg").symlink_to("/dev/zero")
    assert code(tmp_path / "zero.plg") == "file-too-large"
    assert MAX_BYTES < 20 * 2**20


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.plg").write_text("scenario x {}")
    (tmp_path / "x.plg").chmod(0)
    assert code(tmp_path / "x.plg") == "unreadable-file"


@pytest.mark.parametrize("suffix", [".plg", ".yaml", ".json"])
@pytest.mark.parametrize("opening", ["{", "[", '{"a":', "a: {", "- ", "[{", "scenario x { traffic { {", "&a [", "? "])
def test_depth_costs_no_recursion(tmp_path: Path, suffix: str, opening: str) -> None:
    limit = sys.getrecursionlimit()
    for times in (150, 199, 250, 30_000):
        file = tmp_path / f"deep{suffix}"
        file.write_text(opening * times)
        assert lint(file).diagnostics
    assert sys.getrecursionlimit() == limit


def test_deep_documents_from_elsewhere() -> None:
    phase: dict[str, object] = {"type": "steady", "base_rate": 1, "duration": 1}
    for _ in range(5000):
        phase = {"type": "custom", "phases": [phase]}
    with pytest.raises(ScenarioError) as caught:
        load_document({"name": "x", "pattern": phase, "guardrails": LIMITS})
    assert [d.code for d in caught.value.diagnostics] == ["too-deep"]
    nested: list[object] = []
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(ScenarioError):
        load_document({"name": "x", "jobs": [{"name": "a", "payload": nested}], "pattern": 5, "guardrails": LIMITS})


def test_nesting_up_to_the_limit_is_read() -> None:
    inner = "steady 1/s over 1s"
    for _ in range(80):
        inner = "repeat 1 { " + inner + " }"
    text = "scenario x { traffic { " + inner + " } guardrails { max_rate 5/s max_total_jobs 5 max_duration 5s } }"
    source = read_text(text, "x.plg")
    assert source.faults == ()
    assert load_document(source.document).scenario.pattern.duration == 1


def test_a_document_without_a_folder_reads_no_files() -> None:
    replay = {"name": "x", "pattern": {"type": "replay", "file": "traffic.csv"}, "guardrails": LIMITS}
    with pytest.raises(ScenarioError) as caught:
        load_document(replay)
    assert [d.code for d in caught.value.diagnostics] == ["missing-file"]
    assert caught.value.diagnostics[0].span is None
    assert load_document(replay, folder=CASES / "valid").scenario.pattern.duration == 9


def test_files_outside_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("0,1\n1,2\n")
    folder = tmp_path / "scenarios"
    (folder / "inner").mkdir(parents=True)
    (folder / "link.csv").symlink_to(secret)
    (folder / "inner" / "fine.csv").write_text("0,1\n1,2\n")
    (folder / "fine-link.csv").symlink_to(folder / "inner" / "fine.csv")
    (folder / "folder.csv").mkdir()

    def codes(file: str) -> list[str]:
        pattern = {"type": "replay", "file": file}
        try:
            load_document({"name": "x", "pattern": pattern, "guardrails": LIMITS}, folder=folder)
        except ScenarioError as error:
            return [d.code for d in error.diagnostics]
        return []

    for bad in ("../secret.csv", str(secret), "link.csv", "inner/../../secret.csv", "~/x.csv", "..\\secret.csv"):
        assert codes(bad) == ["file-outside"], bad
    assert codes("folder.csv") == ["missing-file"]
    assert codes("x" * 900) == ["missing-file"]
    assert codes("inner/fine.csv") == []
    assert codes("fine-link.csv") == []


def test_everything_arrives() -> None:
    scenario = load(CASES / "valid" / "guardrails.plg").scenario
    assert scenario.guardrails == Guardrails(
        max_rate=500.0, max_total_jobs=20_000, max_duration=120.0, max_memory=512 * 2.0**20, max_cpu=0.8,
        max_queue_depth=50_000, max_queue_age=30.0, max_error_rate=ErrorRateLimit(0.05, 10.0), rate_limit_window=0.5,
        warn_at=0.75, emergency_stop=False,
    )  # fmt: skip
    scenario = load(CASES / "valid" / "jobs.plg").scenario
    assert scenario.jobs[1] == Job(
        "b", Queue("list", "q"), weight=3.0, priority=-5, timeout=90.0, retry=Retry(3),
        payload=[1, -2500.0, True, False, None, {}, [], {"a b": {"c": [[]]}}],
    )  # fmt: skip
    assert (scenario.jobs[0].queue.kind, scenario.jobs[0].queue.name) == ("stream", "s")
    assert scenario.jobs[4] == Job("e", queue=Queue("list", "plg:jobs"))
    assert scenario.workers == Workers(4, 0.005)
    assert scenario.arrivals == Arrivals("poisson", 42)
    assert scenario.max_lag == 0.25
    assert scenario.data["users"].column("age") == ["31", "54"]
    assert scenario.tags == ("sale", "two words")


def test_defaults() -> None:
    scenario = load_document(
        {"name": "x", "pattern": {"type": "steady", "base_rate": 1, "duration": 1}, "guardrails": LIMITS}
    ).scenario
    assert scenario.jobs == (Job("job", queue=Queue("list", "plg:jobs")),)
    assert scenario.guardrails == Guardrails(5.0, 5, 5.0)
    assert (scenario.target, scenario.max_lag, scenario.workers) == ("embedded", 1.0, None)
    assert scenario.file is None


def test_expectations_know_their_line() -> None:
    path = CASES / "valid" / "flash-sale.plg"
    loaded = load(path, environ={})
    lines = path.read_text(encoding="utf-8").split("\n")
    for expectation in loaded.scenario.expect:
        assert expectation.file == str(path)
        assert expectation.line is not None
        assert expectation.text in " ".join(lines[expectation.line - 1].split())


def test_spans_point_at_the_words() -> None:
    path = CASES / "valid" / "flash-sale.plg"
    loaded = load(path, environ={})
    lines = path.read_text(encoding="utf-8").split("\n")

    def at(*place: str | int) -> str:
        span = loaded.spans[place]
        assert span.line == span.end_line
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]

    assert at("pattern", "phases", 2, "burst_rate") == "peak"
    assert at("jobs", 0, "payload", "tags", 1) == '"web"'
    assert at("guardrails", "max_memory_mb") == "512MB"
    assert at("pattern", "phases", 1).startswith("crowd:")


@pytest.mark.parametrize("name", STARTERS)
def test_starters(name: str, tmp_path: Path) -> None:
    from plg.language.format import format_text

    text = starter(name, "my scenario")
    file = tmp_path / "my.plg"
    file.write_text(text, encoding="utf-8")
    assert lint(file).diagnostics == []
    assert format_text(text) == text
    assert STARTERS[name].strip().replace("scenario NAME", 'scenario "my scenario"') == text.strip()
    assert load(file, environ={}, sends=False).scenario.name == "my scenario"
    for unset, why in (({}, "not set"), ({"REDIS_URL": " "}, "empty")):
        with pytest.raises(ScenarioError, match=f"REDIS_URL, which is {why}"):
            load(file, environ=unset)


def test_the_workflow_is_yaml_and_quotes_its_file() -> None:
    import yaml

    made = yaml.safe_load(workflow("load tests/it's.plg", "wheels/plg.whl"))
    commands = [step.get("run", "") for step in made["jobs"]["load"]["steps"]]
    assert 'pip install "./wheels/plg.whl[embedded]"' in commands
    assert "plg check 'load tests/it'\"'\"'s.plg'" in commands


def test_the_same_faults_however_often(tmp_path: Path) -> None:
    """Nothing is kept between two readings."""
    file = CASES / "invalid" / "many-faults.plg"
    assert lint(file) == lint(file)
    assert loading.read_source(file).faults == loading.read_source(file).faults


def counted(phases: int) -> int:
    """Calls of Python functions that reading and checking so many phases takes."""
    kinds = [
        "ramp 10/s -> 20/s over 4s",
        "sine 20/s +- 8/s every 2s over 6s",
        "burst 5/s -> 9/s for 1s every 2s over 6s",
    ]
    body = "\nthen ".join(f"p{i}: {kinds[i % 3]}" for i in range(phases))
    text = f"scenario x {{ traffic {{ {body} }} guardrails {{ max_rate 50/s max_total_jobs 5 max_duration 5s }}"
    text += " expect { errors == 0 during p1 } }"
    calls = 0

    def tally(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(tally)
    try:
        source = read_text(text, "x.plg")
        load_document(source.document)
    finally:
        sys.setprofile(None)
    return calls


def test_the_work_grows_with_the_number_of_phases_and_no_faster() -> None:
    load_document(
        read_text(
            "scenario x { traffic { steady 1/s over 1s } guardrails { max_rate 1/s max_total_jobs 1"
            " max_duration 1s } }",
            "x.plg",
        ).document
    )
    first, second = counted(150), counted(600)
    assert second < first * 4.4


@pytest.mark.parametrize(("phases", "refused"), [(5, False), (6, True)])
def test_the_sequence_around_phases_is_none_itself(monkeypatch: pytest.MonkeyPatch, phases: int, refused: bool) -> None:
    monkeypatch.setattr(validate, "MAX_PHASES", 5)
    row = [{"type": "steady", "base_rate": 1, "duration": 1}] * phases
    faults = validate.check_document({"pattern": {"type": "custom", "phases": row}})
    assert ("too-large" in [fault.code for fault in faults]) == refused


@pytest.mark.parametrize(
    ("clauses", "least"),
    [
        ("max_lag 0s", "2ms"),
        ("max_lag 0.5ms", "2ms"),
        ("max_lag 1.9ms", "2ms"),
        ("max_lag 0.4ms pacing precise", "500us"),
    ],
)
def test_patience_below_the_tick_is_refused(clauses: str, least: str, tmp_path: Path) -> None:
    path = tmp_path / "s.plg"
    limits = "guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m }"
    text = f'scenario "s" {{ CLAUSES traffic {{ steady 5/s over 1s }} {limits} }}'
    path.write_text(text.replace("CLAUSES", clauses))
    with pytest.raises(ScenarioError) as fault:
        load(path)
    [found] = fault.value.diagnostics
    assert found.code == "out-of-range"
    assert found.message.startswith(f"`max_lag` must be at least {least}, twice a tick of pacing ")
    for fine in ("max_lag 2ms", "max_lag 0.5ms pacing precise"):
        path.write_text(text.replace("CLAUSES", fine))
        load(path)
