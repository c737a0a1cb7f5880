"""``plg judge`` and ``plg report``: a saved run judged and drawn again, without a target."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.checked import COMMAND, environment, plg, suites_in
from support.cli_scenarios import quick


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with two saved runs."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "a.plg").write_text(
        quick("first", traffic="calm: steady 200/s over 100ms then rush: steady 400/s over 100ms", acked=60),
        encoding="utf-8",
    )
    (folder / "b.plg").write_text(quick("second"), encoding="utf-8")
    done = plg("check", "a.plg", "b.plg", "--target", "embedded", "--quiet", cwd=folder)
    assert done.code in (0, 5), done.said
    return folder


@pytest.fixture
def copy(saved, here):
    shutil.copytree(saved, here, dirs_exist_ok=True)
    return here


FIRST = "plg-report/first.outcome.json"


def results(said: str) -> str:
    return said.rstrip().splitlines()[-1]


def test_judged_again_it_is_what_it_was(run, copy):
    was = json.loads((copy / FIRST).read_text())
    done = run("judge", FIRST)
    assert done.code == was["exit_code"]
    assert results(done.out) == f"exit {was['exit_code']}: {was['reason']}"


@pytest.mark.parametrize(
    ("expectation", "code"),
    [
        ("acked == 61", 3),
        ("acked during rush == {rush}", 0),
        ("acked during rush != {rush}", 3),
        ("p50(latency) < 0.000001ms", 3),
        ("warn acked == 61", 0),
    ],
)
def test_present_expectations_count(run, copy, expectation, code):
    # On a busy machine an answer from before the seam may come after it.
    rush = json.loads((copy / FIRST).read_text())["phases"][1]["acked"]
    expectation = expectation.format(rush=rush)
    text = (copy / "a.plg").read_text().replace("acked == 60", expectation)
    (copy / "now.plg").write_text(text, encoding="utf-8")
    done = run("judge", FIRST, "now.plg", "--out", "again")
    assert done.code in ({0: (0, 5)}.get(code, (code,)))
    assert expectation.removeprefix("warn ") in done.out
    outcome = json.loads((copy / "again" / "first.outcome.json").read_text())
    assert [e["text"] for e in outcome["expectations"]] == ["errors == 0", expectation]
    assert outcome["ledger"] == json.loads((copy / FIRST).read_text())["ledger"]
    assert (int(suites_in(copy / "again" / "junit.xml")[0].get("failures")) > 0) == (code == 3)


def test_a_scenario_whose_target_is_not_set_is_judged_by_all_the_same(run, copy):
    """Nothing is sent, so it does not matter where it would go: a build judges on a machine without a Redis."""
    text = (copy / "a.plg").read_text().replace("{", "{\n  target env PLG_TEST_NO_REDIS", 1)
    (copy / "now.plg").write_text(text, encoding="utf-8")
    assert run("lint", "now.plg").code == 0
    done = run("judge", FIRST, "now.plg")
    assert done.code in (0, 5), done.said
    assert "acked == 60" in done.out


def test_an_expectation_of_a_phase_that_was_not_run(run, copy):
    text = quick("first", traffic="lunch: steady 200/s over 100ms").replace("errors == 0", "errors during lunch == 0")
    (copy / "now.plg").write_text(text, encoding="utf-8")
    done = run("judge", FIRST, "now.plg")
    assert done.code in (2, 3), done.said
    assert "lunch" in done.said


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "no json", '{"version": 99, "recording": {}}', "[" * 100_000, "\0"]
)
@pytest.mark.parametrize("command", ["judge", "report"])
def test_a_file_that_is_no_outcome(run, here, command, content):
    (here / "x.json").write_text(content)
    done = run(command, "x.json")
    assert done.code == 2
    assert "error[" in done.err
    assert "internal error" not in done.said
    assert run(command, "missing.json").code == 2
    assert run(command, ".").code == 2


def test_a_damaged_outcome_is_no_traceback(run, copy):
    """Every field taken away, and every one turned into something else, in turn."""
    whole = json.loads((copy / FIRST).read_text())
    for name in whole:
        without = {key: value for key, value in whole.items() if key != name}
        other = whole | {name: "nonsense" if not isinstance(whole[name], str) else 7}
        for document in (without, other):
            (copy / "x.json").write_text(json.dumps(document))
            done = run("judge", "x.json")
            assert "internal error" not in done.said, (name, done.err)
            assert done.code != 1


def test_cut_short_anywhere_it_is_refused(run, copy):
    text = (copy / FIRST).read_text()
    for share in range(1, 10):
        (copy / "x.json").write_text(text[: len(text) * share // 10])
        assert run("judge", "x.json").code == 2


def test_reports_overlay_several(run, copy):
    done = run("report", "plg-report/*.outcome.json", "--html", "both.html", "--junit", "both.xml", "--markdown", "-")
    assert (done.code, done.err) == (0, "")
    assert "first" in done.out
    assert "second" in done.out
    page = (copy / "both.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "first" in page
    assert "second" in page
    assert "https://" not in page.replace("https://plotly.com", "").partition("<script")[0]
    assert [suite.get("name") for suite in suites_in(copy / "both.xml")] == ["first", "second"]


def test_without_a_format_it_is_the_summary(run, copy):
    done = run("report", FIRST)
    assert done.code == 0
    assert "60 planned = 60 sent" in done.out
    assert run("report", FIRST, "--junit", "-").out.startswith("<?xml")


@pytest.mark.parametrize("option", ["--html", "--junit", "--markdown"])
def test_a_report_that_cannot_be_written(run, copy, option):
    done = run("report", FIRST, option, "no/such/folder/x")
    assert done.code == 2
    assert done.err.startswith("plg: no/such/folder/x: ")


def test_one_picture_holds_one_run(run, copy):
    done = run("report", "plg-report/*.outcome.json", "--png", "x.png")
    assert done.code == 2
    assert "--png draws one outcome" in done.err


def test_without_a_scenario_it_is_judged_by_what_it_was_judged_by_last(run, copy):
    text = (copy / "a.plg").read_text().replace("acked == 60", "acked == 61")
    (copy / "now.plg").write_text(text, encoding="utf-8")
    assert run("judge", FIRST, "now.plg", "--out", "again").code == 3
    done = run("judge", "again/first.outcome.json", "--out", "once-more")
    assert done.code == 3
    assert "acked == 61" in done.out
    before, after = (suites_in(copy / folder / "junit.xml")[0] for folder in ("again", "once-more"))
    places = [[(case.get("file"), case.get("line")) for case in suite.iter("testcase")] for suite in (before, after)]
    assert places[0] == places[1]
    assert ("now.plg", "7") in places[0]


def test_a_param_needs_a_scenario_that_has_it(run, copy):
    done = run("judge", FIRST, "--set", "peak=3")
    assert done.code == 2
    assert "name the scenario file too" in done.err


def test_files_of_a_scenario_need_not_be_there_any_more(run, here):
    (here / "users.csv").write_text("id\n1\n2\n", encoding="utf-8")
    (here / "friday.csv").write_text("t_s,rate\n0,200\n0.1,200\n", encoding="utf-8")
    text = quick(traffic='replay "friday.csv"').replace("job job {", 'data users "users.csv"\n  job job {')
    text = text.replace('n: "${seq}"', 'n: "${users.id}"').replace("acked == 20", "acked > 5")
    (here / "data.plg").write_text(text, encoding="utf-8")
    assert run("check", "data.plg", "--target", "fake", "--quiet").code in (0, 5)
    for name in ("users.csv", "friday.csv", "data.plg"):
        (here / name).unlink()
    done = run("judge", "plg-report/quick.outcome.json")
    assert done.code in (0, 5), done.said
    assert "acked > 5" in done.out


def test_one_shard_is_not_judged_alone(run, here):
    (here / "a.plg").write_text(quick(acked=10), encoding="utf-8")
    assert run("check", "a.plg", "--target", "fake", "--shard", "1/2", "--run-id", "r", "--quiet").code in (0, 5)
    done = run("judge", "plg-report/quick.shard-1-of-2.outcome.json")
    assert done.code == 2
    assert "error[not-whole]" in done.err
    assert "plg merge" in done.err
    assert run("judge", "plg-report/quick.shard-1-of-2.outcome.json", "a.plg").code == 2


READERLESS = {
    "judge": ("judge", FIRST, "now.plg", "--out", "again"),
    "fmt": ("fmt", "--check", "untidy.plg"),
    "lint": ("lint", "bad.plg", "--format", "json"),
}


@pytest.mark.parametrize("command", sorted(READERLESS))
@pytest.mark.parametrize("sink", ["pipe", "full"])
def test_a_verdict_does_not_depend_on_a_reader(copy, command, sink):
    """The pipe is closed before a word is said, or the disk behind standard output is full."""
    (copy / "now.plg").write_text((copy / "a.plg").read_text().replace("acked == 60", "acked == 61"), encoding="utf-8")
    (copy / "untidy.plg").write_text((copy / "a.plg").read_text().replace("  ", " "), encoding="utf-8")
    (copy / "bad.plg").write_text("scenario bad { nonsense }", encoding="utf-8")
    if sink == "full" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    ends = os.pipe() if sink == "pipe" else (None, os.open("/dev/full", os.O_WRONLY))
    if ends[0] is not None:
        os.close(ends[0])
    done = subprocess.run(
        [*COMMAND, *READERLESS[command]], cwd=copy, env=environment(), stdout=ends[1], stderr=subprocess.PIPE,
        timeout=60,
    )  # fmt: skip
    os.close(ends[1])
    assert done.returncode == {"judge": 3, "fmt": 3, "lint": 2}[command], done.stderr
    assert ("standard output: no space left on device" in done.stderr.decode()) == (sink == "full")
    assert b"Traceback" not in done.stderr
    if command == "judge":
        assert (copy / "again" / "first.outcome.json").exists()
