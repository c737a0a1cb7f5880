"""``plg check`` over several files, and what becomes of their artifacts."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from support.checked import Done, calmly, full_disk, outcome_in, suites_in
from support.cli_scenarios import QUICK, quick


@pytest.fixture
def three(here):
    """A passing scenario, an invalid one and a failing one, in this order."""
    (here / "a.plg").write_text(quick("first"), encoding="utf-8")
    (here / "b.plg").write_text(QUICK.replace("steady", "stedy"), encoding="utf-8")
    (here / "c.plg").write_text(quick("third", acked=21), encoding="utf-8")
    return here


def test_one_that_fails_does_not_stop_the_rest(run, three):
    done = calmly(lambda: run("check", "a.plg", "b.plg", "c.plg"))
    assert done.code == 2, "an invalid scenario comes before a failed expectation"
    assert re.search(r"^exit [05]: ", done.out, re.MULTILINE)
    assert "exit 2: b.plg has 1 fault: there is no phase `stedy` (line 3)" in done.out
    assert "exit 3: " in done.out
    assert [suite.get("name") for suite in done.suites()] == ["first", "b", "third"]
    assert done.outcome("first")["ledger"]["acked"] == done.outcome("third")["ledger"]["acked"] == 20
    assert done.last.startswith("exit 2: ")
    named = r"exit 2: [01] of 3 scenarios passed; .*b \(exit 2\): b.plg has 1 fault: [^;]*; third \(exit 3\): "
    assert re.match(named, done.last)


def test_fail_fast_stops_at_the_first(run, three):
    done = calmly(lambda: run("check", "a.plg", "b.plg", "c.plg", "--fail-fast"))
    assert done.code == 2
    told = "b.plg has 1 fault: there is no phase `stedy` (line 3)"
    assert done.last == f"exit 2: 1 of 3 scenarios passed, 1 not run; b (exit 2): {told}"
    assert len(done.suites()) == 2
    assert not (done.report / "third.outcome.json").exists()


def test_globs_name_each_file_once_and_in_order(run, three):
    (three / "b.plg").unlink()
    done = run("check", "*.plg", "a.plg", "./c.plg", "--quiet")
    assert done.code == 3
    assert [suite.get("name") for suite in done.suites()] == ["first", "third"]
    missing = run("check", "*.json")
    assert missing.code == 2
    assert "no file matches '*.json'" in missing.err
    assert missing.last == "exit 2: no file matches '*.json'"


def test_scenarios_of_one_name_keep_their_files_apart(run, here):
    (here / "a.plg").write_text(quick("same"), encoding="utf-8")
    (here / "b.plg").write_text(quick("same", traffic="steady 300/s over 100ms"), encoding="utf-8")
    done = run("check", "a.plg", "b.plg")
    assert done.outcome("same")["ledger"]["planned"] == 20
    assert done.outcome("same-2")["ledger"]["planned"] == 30
    names = [suite.get("name") for suite in done.suites()]
    assert len(set(names)) == 2


@pytest.mark.parametrize("out", ["file", "file/below", "/proc/nothing"])
def test_a_folder_that_cannot_be_is_found_before_anything_is_sent(run, here, out, monkeypatch):
    from plg import session

    monkeypatch.setattr(session, "run", lambda *_: pytest.fail("something was sent"))
    (here / "file").write_text("mine")
    (here / "a.plg").write_text(QUICK, encoding="utf-8")
    done = run("check", "a.plg", "--out", out)
    assert done.code == 2
    assert done.last.startswith(f"exit 2: {out} cannot hold the artifacts: ")
    assert (here / "file").read_text() == "mine"


def test_a_disk_that_fills_up_keeps_the_verdict(here):
    """Files may grow to 6 kB: the outcome of a run is larger, its JUnit is not. Nothing half-written stays."""
    (here / "a.plg").write_text(quick(acked=21), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "plg", "check", "a.plg", "--target", "fake"], cwd=here, **full_disk(6000),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 2, ran
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "quick.outcome.json could not be written: file too large" in ran.stdout.splitlines()[-1]
    report = here / "plg-report"
    assert sorted(path.name for path in report.iterdir()) == ["junit.xml", "quick.scenario.yaml"]
    assert suites_in(report / "junit.xml")[0].get("failures") == "1"


def test_a_param_that_is_not_there(run, here):
    (here / "a.plg").write_text(
        QUICK.replace("steady 200/s", "steady speed").replace("traffic", "param speed = 200/s\ntraffic"),
        encoding="utf-8",
    )
    done = run("check", "a.plg", "--set", "sped=1/s")
    assert done.code == 2
    assert "error[unknown-param]" in done.err
    assert "speed" in done.err.partition("help:")[2]
    assert run("plan", "a.plg", "--set", "speed=fast").code == 2
    assert run("plan", "a.plg", "--set", "speed").code == 2
    assert json.loads(run("plan", "a.plg", "--set", "speed=300/s", "--json").out)["planned"] == 30


def test_the_effective_scenario_runs_again_to_the_same_plan(run, here):
    text = quick(traffic="steady speed over 100ms").replace("job job", "param speed = 200/s\njob job")
    (here / "a.plg").write_text(text, encoding="utf-8")
    run("check", "a.plg", "--set", "speed=500/s", "--quiet")
    again = run("plan", "plg-report/quick.scenario.yaml", "--json")
    assert json.loads(again.out)["planned"] == 50


def test_quiet_leaves_verdict_and_last_line(run, here):
    (here / "a.plg").write_text(quick(acked=21), encoding="utf-8")
    loud, quiet = run("check", "a.plg").out, run("check", "a.plg", "--quiet").out
    assert len(quiet.splitlines()) < len(loud.splitlines())
    assert quiet.rstrip().splitlines()[-1].startswith("exit 3: ")
    assert "acked == 21" in quiet


def test_github_gets_annotations_and_a_summary(run, three, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(three / "summary.md"))
    (three / "summary.md").write_text("before\n")
    done = run("check", "a.plg", "b.plg", "c.plg")
    annotations = [line for line in done.out.splitlines() if line.startswith("::")]
    line = quick().splitlines().index("    acked == 20") + 1
    assert any(a.startswith(f"::error file=c.plg,line={line}") for a in annotations)
    assert any(a.startswith("::error file=b.plg,line=3") for a in annotations)
    assert not any("file=a.plg" in a and a.startswith("::error") for a in annotations) or "exit 5" in done.out
    summary = (three / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("before\n")
    assert "first" in summary
    assert "third" in summary
    assert done.last.startswith("exit 2: ")


def test_a_summary_that_cannot_be_written_is_told(run, here, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "no" / "such" / "folder"))
    (here / "a.plg").write_text(QUICK, encoding="utf-8")
    done = calmly(lambda: run("check", "a.plg", "--quiet"))
    assert done.code == 0
    assert "not written" in done.err
    assert outcome_in(here / "plg-report" / "quick.outcome.json")["verdict"] == "pass"


def test_nothing_of_github_elsewhere(run, here):
    (here / "a.plg").write_text(quick(acked=21), encoding="utf-8")
    assert "::error" not in run("check", "a.plg").said


def test_the_seed_is_the_users(run, here):
    (here / "a.plg").write_text(quick(arrivals="poisson seed 3"), encoding="utf-8")
    done: Done = run("check", "a.plg", "--seed", "12", "--quiet")
    assert done.outcome("quick")["seed"] == 12
    properties = {p.get("name"): p.get("value") for p in done.suites()[0].iter("property")}
    assert properties["seed"] == "12"


def test_a_log_of_standard_output_alone_has_the_fault(run, here):
    (here / "a.plg").write_text(
        quick("first").replace("errors ==", "errors =>").replace("steady", "stedy"), encoding="utf-8"
    )
    done = run("check", "a.plg", "--quiet")
    assert done.code == 2
    assert done.last == "exit 2: a.plg has 2 faults, the first: there is no phase `stedy` (line 3)"


def test_why_nothing_was_sent_is_not_buried_under_lines_without_data(run, here):
    (here / "a.plg").write_text(quick("first"), encoding="utf-8")
    done = run("check", "a.plg", "--quiet", "--target", "redis://127.0.0.1:1/0")
    assert done.code == 6
    _, untold, _, _, last = done.out.splitlines()
    assert untold == "  ? 2 expectations without data: the run ended before anything was sent"
    assert last.startswith("exit 6: the target could not be used: redis://127.0.0.1:1/0 cannot be reached: ")
