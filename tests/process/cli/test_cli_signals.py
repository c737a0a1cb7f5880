"""Signals in the first moments of a command: one line, the signal's exit code, no traceback."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCENARIO = """scenario "a" {
  traffic { steady 50/s over 300ms }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 1m }
  expect { errors == 0 }
}
"""
COMMANDS = {
    "plan": ["a.plg"], "lint": ["a.plg"], "fmt": ["a.plg", "--check"], "convert": ["a.plg", "--to", "yaml"],
    "judge": ["a.outcome.json", "--out", "r"], "report": ["a.outcome.json", "--junit", "r/junit.xml"],
    "merge": ["a.outcome.json", "--out", "r"], "check": ["a.plg", "--quiet", "--target", "fake", "--out", "r"],
}  # fmt: skip
PROGRAM = Path(sys.executable).with_name("plg")

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes in /proc")


def hears(pid: int) -> bool:
    """Whether the process has begun to take or to hold back SIGTERM, which is when plg itself has begun."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigCgt", "SigBlk"))]
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)


@pytest.mark.parametrize(
    "command", [c if c in ("plan", "judge") else pytest.param(c, marks=pytest.mark.slow) for c in COMMANDS]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_is_loaded(tmp_path: Path, command: str, number: int) -> None:
    (tmp_path / "a.plg").write_text(SCENARIO)
    (tmp_path / "a.outcome.json").write_text("{}")
    (tmp_path / "r").mkdir()
    heard = 0
    for step in range(8):
        (tmp_path / "r" / "junit.xml").write_text(
            '<testsuites><testsuite name="x" failures="0" errors="0"/></testsuites>'
        )
        process = subprocess.Popen(
            [PROGRAM, command, *COMMANDS[command]],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and not hears(process.pid):
            time.sleep(0.001)
        time.sleep(step * 0.04)
        process.send_signal(number)
        said, told = process.communicate(timeout=30)
        assert "Traceback" not in told, told
        assert "ignored" not in told, told
        assert process.returncode in ((128 + number,) if step == 0 else (0, 2, 3, 5, 128 + number)), told
        if process.returncode == 128 + number:
            heard += 1
            last = (said if command == "check" else told).splitlines()[-1]
            assert last.startswith(f"exit {128 + number}: ")
            assert signal.Signals(number).name in last
            if "r" in COMMANDS[command] or "r/junit.xml" in COMMANDS[command]:
                # Two where jobs were sent by then: the run, and the line that could not be judged.
                assert re.search('errors="[12]"', (tmp_path / "r" / "junit.xml").read_text())
    assert heard
