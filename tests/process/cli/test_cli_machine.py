"""What the machine refuses: one sentence and exit code 2, as for a full disk, and no green document left."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.checked import environment

from plg.machine import FILES_FOR_A_RUN, shortage

PLG = [sys.executable, "-m", "plg"]
SCENARIO = """scenario "a" {
  traffic { steady 50/s over 200ms }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 1m }
  expect { errors == 0 }
}
"""
COMMANDS = {
    "check": "check a.plg --target fake --quiet", "check several": "check a.plg b.plg --parallel 2 --target fake",
    "plan": "plan a.plg", "lint": "lint a.plg", "fmt": "fmt a.plg", "convert": "convert a.plg --to yaml",
    "judge": "judge a.outcome.json", "report": "report a.outcome.json --html a.html", "merge": "merge a.outcome.json",
    "new": "new zzz", "schema": "schema",
}  # fmt: skip


def with_files(most: int, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that may open so many files at a time."""
    return subprocess.run(
        [*PLG, *command], cwd=cwd, capture_output=True, text=True, env=environment(), timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
    )  # fmt: skip


@pytest.mark.parametrize("most", [6, 9, 14, FILES_FOR_A_RUN - 1])
@pytest.mark.parametrize("command", ["check", "check several"])
def test_too_few_files_for_a_run(tmp_path: Path, command: str, most: int) -> None:
    for name in "ab":
        (tmp_path / f"{name}.plg").write_text(SCENARIO)
    (tmp_path / "plg-report").mkdir()
    document = tmp_path / "plg-report" / "junit.xml"
    document.write_text('<testsuites name="plg"><testsuite name="a" failures="0" errors="0"/></testsuites>')
    done = with_files(most, *COMMANDS[command].split(), cwd=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "internal error" not in said
    assert "Traceback" not in said
    assert done.stdout.splitlines()[-1].startswith(
        f"exit 2: this process may open no more than {most} files at a time: raise the limit, as with `ulimit -n 256`"
    )
    if document.exists():
        assert [suite.get("errors") for suite in ElementTree.parse(document).getroot().iter("testsuite")] == ["1"]


@pytest.mark.parametrize("at", [1, FILES_FOR_A_RUN, FILES_FOR_A_RUN + 62])
def test_too_few_files_for_the_connections(tmp_path: Path, at: int) -> None:
    """Known before anything is sent, and no fault of the server."""
    (tmp_path / "a.plg").write_text(SCENARIO)
    done = with_files(max(at, 9), *COMMANDS["check"].split(), "--connections", "64", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert " files at a time: raise the limit" in done.stdout.splitlines()[-1]
    assert "fault" not in done.stdout
    assert not list(tmp_path.rglob("*.outcome.json"))


def test_a_run_has_files_enough_with_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.plg").write_text(SCENARIO)
    for _ in range(4):
        done = with_files(FILES_FOR_A_RUN, *COMMANDS["check"].split(), cwd=tmp_path)
        if done.returncode != 5:  # else the machine was too busy for the schedule
            break
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("check")])
def test_too_few_files_for_the_other_commands(tmp_path: Path, command: str) -> None:
    """Those need few; whatever they come to, it is no fault of plg."""
    (tmp_path / "a.plg").write_text(SCENARIO)
    for most in (5, 6, 8):
        done = with_files(most, *COMMANDS[command].split(), cwd=tmp_path)
        assert done.returncode != 1, done.stderr
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_working_folder_that_is_gone_is_named(tmp_path: Path, command: str) -> None:
    (tmp_path / "gone").mkdir()
    script = f'cd gone && rmdir "$PWD" && exec "$0" -m plg {COMMANDS[command]}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable], cwd=tmp_path, capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 2
    assert done.stderr == f"plg: the working folder {tmp_path / 'gone'} has been removed: change to another one\n"
    assert done.stdout == ""


def test_a_shortage_is_found_behind_what_a_library_makes_of_it() -> None:
    def load() -> None:
        try:
            raise OSError(24, os.strerror(24), "numpy/ma/__init__.py")
        except OSError as error:
            raise ImportError("numpy could not be imported, please see https://example.org") from error

    with pytest.raises(ImportError) as fault:
        load()
    assert "files at a time" in (shortage(fault.value) or "")
    assert shortage(RuntimeError("can't start new thread")) == (
        "this machine starts no more threads or processes for this user (ulimit -u)"
    )
    assert shortage(MemoryError()) == "this machine has no memory left for plg"
    assert shortage(OSError(28, "", "a.html")) == "a.html: no space left on device"
    assert shortage(ValueError("of plg's own")) is None
