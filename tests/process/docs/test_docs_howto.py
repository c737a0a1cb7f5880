"""The page of short answers: its files and commands in an empty folder, in the order of the page, say what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "howto.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str, str]]:
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def commands(text: str) -> list[tuple[str, int, list[str]]]:
    """Each command of a block, the exit code that its comment names, and the lines that it is shown to print."""
    found: list[tuple[str, int, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            command, _, comment = line.removeprefix("$ ").partition("  #")
            code = re.search(r"exit code (\d)", comment)
            found.append((command.strip(), int(code[1]) if code else 0, []))
        else:
            found[-1][2].append(line)
    return found


def as_shown(shown: str, printed: str) -> bool:
    """Whether a line was printed as it is shown; ``…`` stands for what differs from run to run."""
    pattern = ".*".join(map(re.escape, " ".join(shown.split()).split("…")))
    return re.fullmatch(pattern, " ".join(printed.split())) is not None


@pytest.mark.slow
def test_the_commands_work_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "plg"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m plg "$@"\n')
    program.chmod(0o755)
    folder = tmp_path / "empty"
    folder.mkdir()
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "COLUMNS": "100"}
    environ.pop("REDIS_URL", None)
    ran = 0
    for language, title, text in steps():
        if title:
            (folder / title).write_text(text, encoding="utf-8")
        if language != "console":
            continue
        for command, code, shown in commands(text):
            for _ in range(4):
                done = subprocess.run(
                    command, shell=True, cwd=folder, env=environ, capture_output=True, text=True, timeout=120
                )
                if done.returncode != 5:  # a busy machine, as the page says
                    break
            assert done.returncode == code, (command, done.stdout, done.stderr)
            printed = iter((done.stdout + done.stderr).splitlines())
            for line in shown:
                assert any(as_shown(line, each) for each in printed), (line, done.stdout, done.stderr)
            ran += 1
    assert ran == 11
    assert (folder / "both.html").exists()


def test_a_log_becomes_a_table(tmp_path: Path) -> None:
    [script] = [text for language, _, text in steps() if language == "bash" and text.startswith("awk")]
    (tmp_path / "jobs.log").write_text("100 a\n100 b\n103 c\n104 d\n104 e\n104 f\n")
    subprocess.run(script, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "traffic.csv").read_text() == "time,rate\n100,2\n101,0\n102,0\n103,1\n104,3\n"
