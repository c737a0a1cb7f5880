"""Several processes that write one JUnit document: none loses what another wrote, whatever ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from plg.reports.shared_folder import SharedFolder, junit_name

Writer = Callable[[str, int], subprocess.Popen[str]]
WRITER = """
import os, sys, time
from pathlib import Path
from plg.reports.shared_folder import SharedFolder
folder, name, rounds = SharedFolder(Path(sys.argv[1]), "junit.xml"), sys.argv[2], int(sys.argv[3])
folder.enter()
print("in", flush=True)
sys.stdin.readline()
for number in range(rounds):
    suite = f'<testsuite name="{name}" tests="1" failures="{number}" errors="0" time="0"/>'
    folder.publish(f'<testsuites tests="1" failures="{number}" errors="0" time="0">{suite}</testsuites>')
print("done", flush=True)
sys.stdin.readline()
folder.leave()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[[str, int], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(name: str, rounds: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name, str(rounds)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def failures(folder: Path) -> dict[str, int]:
    root = ElementTree.parse(folder / "junit.xml").getroot()
    return {suite.get("name", ""): int(suite.get("failures", "0")) for suite in root.iter("testsuite")}


def test_four_that_write_at_once_and_one_that_is_killed_in_between(tmp_path: Path, writer: Writer) -> None:
    names = ["one", "two", "three", "four"]
    processes = [writer(name, 30) for name in names]
    for process in processes:
        go(process)
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
    assert failures(tmp_path) == dict.fromkeys(names, 29), "the last word of each"
    processes[1].kill()
    for process in processes[2:]:
        go(process)
        assert process.wait(20) == 0
    late = writer("late", 1)
    go(late)
    assert late.stdout is not None
    assert late.stdout.readline() == "done\n"
    assert failures(tmp_path) == {**dict.fromkeys(names, 29), "late": 0}, "one still runs: nothing is let go"
    for process in (processes[0], late):
        go(process)
        assert process.wait(20) == 0
    processes[1].wait(20)
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


def test_a_killed_one_alone_is_forgotten_by_the_next(tmp_path: Path, writer: Writer) -> None:
    first = writer("first", 1)
    go(first)
    assert first.stdout is not None
    assert first.stdout.readline() == "done\n"
    first.kill()
    first.wait(20)
    assert len(list(tmp_path.iterdir())) == 2
    folder = SharedFolder(tmp_path, "junit.xml")
    folder.enter()
    assert failures(tmp_path) == {"plg": 0}
    assert "not-finished" in (tmp_path / "junit.xml").read_text()
    folder.leave()
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    folder = SharedFolder(tmp_path, "junit.xml")
    folder.enter()
    folder.publish("<testsuites/>")
    assert (tmp_path / "junit.xml").read_text() == "<testsuites/>"
    assert [folder.reserve("a"), folder.reserve("a")] == ["a", "a-2"]
    folder.leave()


def test_a_disk_that_is_full_leaves_no_document_of_another_check(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("<testsuites/>")
    code = (
        "import resource, sys; sys.dont_write_bytecode = True\n"
        "from pathlib import Path; from plg.reports.shared_folder import SharedFolder\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "SharedFolder(Path(sys.argv[1]), 'junit.xml').enter()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[3])
    assert not list(tmp_path.iterdir())


def test_a_wait_for_the_lock_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr("plg.reports.shared_folder._PATIENCE", 0.2)
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    begun = time.monotonic()
    SharedFolder(tmp_path, junit_name((1, 4))).publish("<testsuites/>")
    assert 0.1 < time.monotonic() - begun < 3
    os.close(held)
    assert (tmp_path / "junit.shard-2-of-4.xml").exists()
