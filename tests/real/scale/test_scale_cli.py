"""The options of shards, starts and parallel scenarios: what is refused, and small runs to their end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime

import pytest
from support.checked import Started, adds_up, environment, outcome_in, plg, suites_in

from plg.child import python_command
from plg.cli.main import main
from plg.cli.parallel import _line
from plg.cli.program import build_parser
from plg.clock import MonotonicClock
from plg.outcome_io import from_json
from plg.prepare import Request
from plg.runner.start import read_start
from plg.runs.events import Waiting, Windows, event_to
from plg.runs.order import Order
from plg.runs.process import _Lines
from plg.runs.supervisor import Running

SMALL = """scenario "NAME" {
  job job { queue "q-NAME" payload { n: "${seq}" } }
  traffic { steady 200/s over TIME }
  guardrails { max_rate 500/s  max_total_jobs 10_000  max_duration 30s }
  expect { errors == 0 acked == WANTED }
}
"""


def small(folder, name="small", time="200ms", wanted=40):
    file = folder / f"{name}.plg"
    text = SMALL.replace("NAME", name).replace("TIME", time).replace("WANTED", str(wanted))
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("given", ["0/4", "5/4", "4", "1/0", "a/b", "1/2/3", "-1/4", "1 / 4", "٢/٤"])
def test_what_is_no_shard_is_refused(given, capsys):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args(["check", "x.plg", f"--shard={given}"])
    assert end.value.code == 2
    assert "must be I/N with I from 1 to N" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["", "a b", "../x", "x" * 65, 'a"b', "-x"])
def test_what_cannot_name_a_run_is_refused(given, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["check", "x.plg", f"--run-id={given}"])
    assert "letters, digits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.plg", "--shard", "1/2"], "the shards of one run need a name in common"),
        (["a.plg", "--shard", "1/2", "--start-at", "+1s"], "the shards of one run need a name in common"),
        (["a.plg", "--start-at", "soon"], "--start-at: 'soon' is no time to start at"),
        (["a.plg", "--start-at", "2020-01-01T00:00:00Z"], "in the past"),
        (["a.plg", "--share-limits"], "--share-limits is for shards"),
        (["a.plg", "b.plg", "--run-id", "r"], "--run-id names one run"),
        (["a.plg", "b.plg", "--start-at", "+1s"], "--start-at is for scenarios that start together"),
        (["a.plg", "b.plg", "--start-at", "+1s", "--shard", "1/2", "--run-id", "r"], "--run-id names one run"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_sent(arguments, said, tmp_path, monkeypatch, capsys):
    from plg import session

    monkeypatch.setattr(session, "run", lambda *_: pytest.fail("something was sent"))
    monkeypatch.chdir(tmp_path)
    small(tmp_path, "a")
    small(tmp_path, "b")
    assert main(["check", *arguments]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out.rstrip().rpartition("\n")[2].startswith("exit 2: ")


def test_random_arrivals_without_a_seed_cannot_be_divided(tmp_path):
    file = small(tmp_path)
    file.write_text(file.read_text().replace("traffic {", "traffic poisson {"))
    done = plg("check", file, "--shard", "1/2", "--run-id", "r", cwd=tmp_path)
    assert done.code == 2
    assert "need one seed" in done.err
    assert plg("plan", file, "--shard", "1/2", "--seed", "3", cwd=tmp_path).code == 0


def test_the_plan_of_a_shard(tmp_path):
    file = small(tmp_path)
    plans = [json.loads(plg("plan", file, "--json", "--shard", f"{i}/3", cwd=tmp_path).out) for i in (1, 2, 3)]
    assert [plan["planned"] for plan in plans] == [14, 13, 13]
    assert plans[1]["shard"] == [1, 3]


def test_two_shards_in_turn_are_one_run_that_did_not_start_together(tmp_path, server):
    file = small(tmp_path)
    options = ("--run-id", "r1", "--target", server.url())
    for part in ("1/2", "2/2"):
        done = plg("check", file, "--shard", part, *options, cwd=tmp_path)
        assert done.code in (0, 5), done.said
        assert f"shard {part[0]} of 2 sent" in done.last or done.code == 5
    held = [json.loads(job) for job in _jobs(server, "q-small")]
    assert sorted(job["seq"] for job in held) == list(range(40))
    assert len({job["id"] for job in held}) == 40
    assert {job["run"] for job in held} == {"r1"}
    saved = [done.report / f"small.shard-{i}-of-2.outcome.json" for i in (1, 2)]
    assert {path.name for path in done.report.glob("junit*")} == {"junit.shard-1-of-2.xml", "junit.shard-2-of-2.xml"}
    assert outcome_in(saved[0])["shard"]["parts"] == [1]
    merged = plg("merge", *saved, "--html", "all.html", "--markdown", "-", cwd=tmp_path)
    assert merged.code == 5
    assert "the shards started" in merged.last
    assert (tmp_path / "all.html").read_text().startswith("<!DOCTYPE html>")
    whole = merged.outcome("small")
    assert whole["ledger"]["acked"] == whole["ledger"]["planned"] == 40
    assert len(suites_in(merged.report / "junit.xml")) == 1
    again = plg("merge", *saved, saved[0], cwd=tmp_path)
    assert again.code in (2, 5), "a file named twice is taken once"
    assert plg("merge", saved[0], cwd=tmp_path).code == 2
    part = plg("merge", saved[0], "--partial", "--out", "part", cwd=tmp_path)
    assert part.code == 5
    assert "shard 2 of 2 is missing" in part.last
    assert outcome_in(tmp_path / "part" / "small.outcome.json")["recording"]["incomplete"]


def _jobs(server, queue):
    answer = server.ask("LRANGE", queue, 0, -1, many=True).decode()
    return re.findall(r"^(\{.*\})\r$", answer, re.MULTILINE)


def test_a_start_is_waited_for_and_told(tmp_path, server):
    file = small(tmp_path, wanted=40)
    start = read_start("+5s", MonotonicClock())
    done = plg("check", file, "--start-at", start.text(), "--target", server.url(), cwd=tmp_path)
    assert re.search(rf"^the schedule starts in [\d.]+m?s, at {re.escape(start.text())}$", done.out, re.MULTILINE)
    outcome = done.outcome("small")
    started = datetime.fromisoformat(outcome["started_at"]).timestamp()
    assert started == pytest.approx(start.wall, abs=0.003)
    first = min(json.loads(job)["enqueued_at"] for job in _jobs(server, "q-small"))
    assert start.wall <= first < start.wall + 0.2


def test_a_wait_can_be_interrupted_and_leaves_its_artifacts(tmp_path, server):
    file = small(tmp_path)
    with Started("check", file, "--start-at", "+1h", "--target", server.url(), cwd=tmp_path) as process:
        line = b""
        while b"the schedule starts" not in line:
            line = process.process.stdout.readline()
        time.sleep(0.2)
        begun = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        done = process.done(20)
    assert time.monotonic() - begun < 10
    assert done.code == 143
    outcome = done.outcome("small")
    assert (outcome["verdict"], outcome["ledger"]["cancelled"], outcome["ledger"]["sent"]) == ("interrupted", 40, 0)
    assert server.number("EXISTS", "q-small") == 0


def test_several_at_once_leave_what_each_leaves_alone(tmp_path, server):
    files = [small(tmp_path, name) for name in ("one", "two", "three")]
    files[1:1] = [small(tmp_path, "wrong", wanted=41)]
    (tmp_path / "bad.plg").write_text('scenario "bad" { nonsense }', encoding="utf-8")
    files.append(tmp_path / "bad.plg")
    done = plg("check", *files, "--parallel", "3", "--target", server.url(), cwd=tmp_path)
    assert done.code == 2, done.said
    assert " of 5 scenarios passed; " in done.last
    assert "bad (exit 2): " in done.last
    assert [suite.get("name") for suite in done.suites()] == ["one", "wrong", "two", "three", "bad"]
    assert "nonsense" in done.err
    for name in ("one", "two", "three", "wrong"):
        outcome = done.outcome(name)
        adds_up(outcome["ledger"])
        assert outcome["ledger"]["acked"] == 40
        assert server.number("LLEN", f"q-{name}") == 40
        assert (done.report / f"{name}.html").exists()
        # What is said of a scenario stands together.
        block = re.search(rf"^{name} .*?^exit (\d): ", done.out, re.MULTILINE | re.DOTALL)
        assert block is not None
        assert not re.search(rf"^(?!{name} )(one|two|three|wrong) ", block[0], re.MULTILINE)
        assert int(block[1]) == outcome["exit_code"]
    assert done.outcome("wrong")["exit_code"] == 3
    assert len({done.outcome(name)["run_id"] for name in ("one", "two", "three")}) == 3
    left = {path.name for path in done.report.iterdir() if path.name.startswith(".")}
    assert left == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_all_that_run_and_all_leave_their_artifacts(number, code, tmp_path, server):
    files = [small(tmp_path, name, "30s", 1) for name in ("one", "two", "never")]
    with Started("check", *files, "--parallel", "2", "--target", server.url(), cwd=tmp_path) as process:
        end = time.monotonic() + 40
        while min(server.number("LLEN", f"q-{name}") for name in ("one", "two")) < 20:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.process.send_signal(number)
        done = process.done(40)
    assert done.code == code, done.said
    assert done.last.startswith(f"exit {code}: 0 of 3 scenarios passed, 1 not run; one (exit {code}): interrupted")
    assert [suite.get("name") for suite in done.suites()] == ["one", "two", "never"]
    assert done.suites()[2].get("errors") == "1"
    for name in ("one", "two"):
        outcome = done.outcome(name)
        assert outcome["verdict"] == "interrupted"
        assert outcome["ledger"]["acked"] == server.number("LLEN", f"q-{name}") > 0
    assert server.number("EXISTS", "q-never") == 0


def test_fail_fast_begins_no_more(tmp_path, server):
    files = [small(tmp_path, "wrong", wanted=1), *(small(tmp_path, f"s{i}", "1500ms", 300) for i in range(3))]
    done = plg(
        "check", *files, "--parallel", "2", "--fail-fast", "--quiet", "--target", server.url(), cwd=tmp_path
    )  # fmt: skip
    assert "2 not run" in done.last
    assert server.number("LLEN", "q-s0") == 300, "what runs already runs to its end"
    assert server.number("EXISTS", "q-s2") == 0


def test_scenarios_whose_parent_is_killed_end_and_keep_what_they_did(tmp_path, server):
    files = [small(tmp_path, name, "30s", 1) for name in ("one", "two")]
    with Started("check", *files, "--parallel", "2", "--target", server.url(), cwd=tmp_path) as process:
        end = time.monotonic() + 40
        while min(server.number("LLEN", f"q-{name}") for name in ("one", "two")) < 20:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.process.kill()
    report = tmp_path / "plg-report"
    end = time.monotonic() + 20
    while len(left := sorted(report.glob(".plg-*.json"))) < 2:
        assert time.monotonic() < end, "they go on without anybody who listens"
        time.sleep(0.05)
    for saved in left:
        outcome = outcome_in(saved)
        assert outcome["verdict"] == "interrupted"
        assert outcome["ledger"]["acked"] == server.number("LLEN", f"q-{outcome['scenario']['name']}")


def test_an_outcome_that_finds_no_place_on_the_disk_comes_over_the_pipe(tmp_path, server):
    file = small(tmp_path)
    process = subprocess.Popen(
        python_command("plg.runs.child", [str(tmp_path / "nowhere" / "x.json")]),
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    order = Order.of(file, Request({}, server.url()), {})
    out, err = process.communicate(order.to_json().encode() + b'\n{"begin": null}\n', timeout=60)
    assert (process.returncode, err) in ((0, b""), (5, b""))
    heard = []
    lines = _Lines(heard.append, tmp_path / "x")
    for at in range(0, len(out), 1000):
        lines.take(out[at : at + 1000])
    assert lines.left is not None
    assert lines.left.ledger.acked == server.number("LLEN", "q-small") == 40
    assert [event.kind for event in heard if event.kind != "windows"] == ["ready", "judged", "judged"]


def test_the_name_of_a_scenario_cannot_move_the_cursor_of_those_beside_it(tmp_path):
    run = Running(tmp_path / "x", None, "a\x9b2J\u202eb\u2028")  # type: ignore[arg-type]  # it is not asked
    assert _line(run) == "a\\x9b2J\\u202eb\\u2028 gets ready"


def test_outcomes_that_come_over_the_pipe_are_heard_to_the_end(tmp_path, monkeypatch, capsys):
    """No file can be left, and the parent is busy with one outcome while the next process says its own and ends."""
    files = [small(tmp_path, name) for name in ("one", "two", "three")]
    report = tmp_path / "plg-report"
    for number in range(3):
        (report / f".plg-{os.getpid()}-{number}.json.draft").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "plg.runs.process.from_json", lambda *given, **more: time.sleep(0.5) or from_json(*given, **more)
    )
    code = main(["check", *map(str, files), "--parallel", "3", "--target", "fake", "--quiet"])
    said = capsys.readouterr()
    assert code in (0, 5), said
    assert "no outcome" not in said.out + said.err
    assert len(list(report.glob("*.outcome.json"))) == 3


def test_what_a_child_says_is_taken_in_pieces_of_any_size(tmp_path):
    heard = []
    lines = _Lines(heard.append, tmp_path / "x")
    text = "\n".join(
        [*(json.dumps(event_to(each)) for each in (Waiting("w" * 50), Windows(({"t": 1},)))), "", "no json", "[]", "{"]
    )
    for letter in text:
        lines.take(letter.encode())
    assert heard == [Waiting("w" * 50), Windows(({"t": 1},))]
    assert b"".join(lines._pieces) == b"{"
