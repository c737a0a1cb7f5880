"""One run of one tool as a process of its own, and what the system says it cost."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Empty, it lets Python keep what it compiled, as it is kept for whoever installs a package."""


class Failed(Exception):
    """A tool ended badly; the message holds the end of what it said."""


@dataclass(frozen=True)
class Finished:
    """``cpu_s`` counts the process and the children it waited for; ``text`` is its output, ``said`` the last line of
    it that is a JSON object."""

    wall_s: float
    cpu_s: float
    max_rss_mb: float
    text: str
    said: Mapping[str, Any]


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    patience: float = 120.0,
    accept: Sequence[int] = (0,),
) -> Finished:
    """Run to the end. Raises `Failed` where the exit code is not among ``accept``, or after ``patience`` s."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, _BYTECODE: "", **(env or {})}, cwd=cwd,
        )  # fmt: skip
        status, usage = _wait(process, start + patience)
        wall = time.perf_counter() - start
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    if code not in accept:
        raise Failed(f"{Path(argv[0]).name} ended with {code}: {text[-600:]}")
    return Finished(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text, _last_json(text))


def _wait(process: subprocess.Popen[bytes], until: float) -> tuple[int, Any]:
    # wait4 alone tells the cost of this child; its own thread of waiting costs the measured tool nothing.
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            return status, usage
        if time.perf_counter() > until:
            os.kill(process.pid, 9)
            _, status, usage = os.wait4(process.pid, 0)
            return status, usage
        time.sleep(0.002)  # wait4 knows no timeout; so much later, at the most, is the end of a tool seen


def _last_json(text: str) -> Mapping[str, Any]:
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            found: Mapping[str, Any] = json.loads(line)
            return found
    return {}
