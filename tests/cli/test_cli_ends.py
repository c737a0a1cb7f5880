"""How a check ends: by signals, beside another check, with what an earlier one left, among strange files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCENARIO = """
scenario "{name}" {{
  traffic {{ steady {rate}/s over {seconds}s }}
  guardrails {{ max_rate 5000/s  max_total_jobs 100_000  max_duration 1m }}
  expect {{ {expect} }}
}}
"""


def write(folder: Path, name: str, seconds: float = 0.3, expect: str = "errors == 0", rate: int = 50) -> Path:
    path = folder / f"{name}.plg"
    path.write_text(SCENARIO.format(name=name, seconds=seconds, expect=expect, rate=rate), encoding="utf-8")
    return path


def start(folder: Path, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "plg", "check", *map(str, arguments), "--quiet"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, **quiet, **options)  # type: ignore[call-overload]


def suites(report: Path) -> dict[str, str]:
    """Each suite's name with what is red in it."""
    root = ElementTree.parse(report / "junit.xml").getroot()
    return {str(s.get("name")): f"{s.get('failures')}/{s.get('errors')}" for s in root.iter("testsuite")}


def await_junit(report: Path) -> None:
    until = time.monotonic() + 20
    while not (report / "junit.xml").exists():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("again", [0.003, None], ids=["twice", "once"])
def test_a_signal_and_the_same_again_is_one(tmp_path: Path, number: int, code: int, again: float | None) -> None:
    process = start(tmp_path, write(tmp_path, "busy", 20))
    await_junit(tmp_path / "plg-report")
    time.sleep(0.7)
    process.send_signal(number)
    if again is not None:
        time.sleep(again)
        process.send_signal(number)
    assert process.wait(20) == code
    assert suites(tmp_path / "plg-report") == {"busy": "0/1"}
    assert {path.name for path in (tmp_path / "plg-report").iterdir()} == {
        "junit.xml", "busy.html", "busy.outcome.json", "busy.scenario.yaml",
    }  # fmt: skip


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    process = start(
        tmp_path, write(tmp_path, "calm", 1.5), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    await_junit(tmp_path / "plg-report")
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    "arguments",
    [["load/*.plg"], ["a.plg", "--start-at", "2020-01-01"], ["a.plg", "--policy", "nowhere.yaml"],
     ["a.plg", "--env", "nowhere"], ["a.plg", "--seed", "x"], ["--no-such-option"]],
    ids=lambda given: given[-1],
)  # fmt: skip
def test_what_an_earlier_check_left_is_no_result(tmp_path: Path, arguments: list[str]) -> None:
    write(tmp_path, "a")
    assert start(tmp_path, "a.plg").wait(30) == 0
    assert suites(tmp_path / "plg-report") == {"a": "0/0"}
    assert start(tmp_path, *arguments).wait(30) == 2
    assert list(suites(tmp_path / "plg-report").values()) == ["0/1"]


def test_a_check_that_is_killed_leaves_no_green(tmp_path: Path) -> None:
    first, second = write(tmp_path, "first"), write(tmp_path, "second", 20)
    assert start(tmp_path, first, second.with_name("first.plg")).wait(30) == 0
    process = start(tmp_path, first, second)
    seen = []
    while not seen or seen[-1] != {"first": "0/0", "second": "0/1"}:
        if (now := suites(tmp_path / "plg-report")) not in seen[-1:]:
            seen.append(now)
    # The green one of the check before, then red ones until the first scenario has been judged.
    assert seen[0] in ({"first": "0/0"}, {"plg check": "0/1"})
    assert seen[-2] == {"first": "0/1", "second": "0/1"}
    process.kill()
    process.wait()
    assert suites(tmp_path / "plg-report") == {"first": "0/0", "second": "0/1"}
    # The next check takes away what the killed one left.
    assert start(tmp_path, first).wait(30) == 0
    assert suites(tmp_path / "plg-report") == {"first": "0/0"}
    assert not list((tmp_path / "plg-report").glob(".*"))


def test_three_checks_in_one_folder_keep_all_suites(tmp_path: Path) -> None:
    report = tmp_path / "plg-report"
    slow = start(tmp_path, write(tmp_path, "slow", 3))
    await_junit(report)
    red = start(tmp_path, write(tmp_path, "red", expect="acked > 1_000"))
    crash = start(tmp_path, write(tmp_path, "crash", 20))
    assert red.wait(30) == 3
    while "crash" not in suites(report):
        time.sleep(0.02)
    crash.kill()
    crash.wait()
    assert slow.wait(30) == 0
    assert suites(report) == {"slow": "0/0", "red": "1/0", "crash": "0/1"}
    assert not list(report.glob(".*"))


STRANGERS = ("types", "enum", "json", "sitecustomize", "plg", "redis", "numpy", "plotly", "lark", "yaml", "kaleido")


@pytest.mark.parametrize("several", [[], ["--parallel", "2"]], ids=["in turn", "at once"])
@pytest.mark.parametrize("path", [None, ""], ids=["no PYTHONPATH", "an empty one"])
def test_nothing_is_imported_from_the_working_folder(tmp_path: Path, several: list[str], path: str | None) -> None:
    for name in STRANGERS:
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'seen')!r}, 'a').write('{name} ')\nraise ImportError\n"
        )
    files = [write(tmp_path, "a"), write(tmp_path, "b")]
    program = Path(sys.executable).with_name("plg")
    environment = {**os.environ, **({} if path is None else {"PYTHONPATH": path})}
    done = subprocess.run(
        [program, "check", *files, *several, "--quiet"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert not (tmp_path / "seen").exists(), (tmp_path / "seen").read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "plg-report" / "a.html").exists()


def test_workers_that_are_busy_for_days_do_not_delay_the_end(tmp_path: Path) -> None:
    text = SCENARIO.format(name="days", seconds=0.5, rate=50, expect="errors == 0")
    (tmp_path / "days.plg").write_text(text.replace("traffic", "workers 2 each 30d traffic"), encoding="utf-8")
    begun = time.monotonic()
    assert start(tmp_path, "days.plg", "--target", "embedded").wait(60) == 0
    assert time.monotonic() - begun < 10


def test_a_signal_is_heard_while_connecting(tmp_path: Path) -> None:
    """A port that listens and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as door:
        target = f"redis://127.0.0.1:{door.getsockname()[1]}/0"
        process = start(tmp_path, write(tmp_path, "a"), "--target", target)
        client, _ = door.accept()
        time.sleep(0.3)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        with client:
            assert process.wait(20) == 130
        assert time.monotonic() - begun < 3, "half a second to draw the report in, at the most"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["judge", "a.plg"], "a.plg is a scenario, not a saved outcome"),
        (["judge", "plg-report/a.outcome.json", "plg-report/a.outcome.json"], "a.outcome.json is the outcome of a run"),
        (["report", "plg-report/junit.xml"], "junit.xml is an XML document, not a saved outcome"),
        (["merge", "plg-report"], "plg-report is a folder, not a saved outcome"),
        (["check", "plg-report/a.outcome.json"], "a.outcome.json is the outcome of a run, not a scenario"),
        (["lint", "plg-report/a.outcome.json"], "a.outcome.json is the outcome of a run, not a scenario"),
        (["plan", "plg-report"], "plg-report is a folder, not a scenario"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_file_of_another_kind_is_named_in_one_sentence(tmp_path: Path, command: list[str], named: str) -> None:
    assert start(tmp_path, write(tmp_path, "a")).wait(30) == 0
    done = subprocess.run([sys.executable, "-m", "plg", *command], cwd=tmp_path, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert named in said
    assert said.count("error[") == 1
    assert "= help: " in said
