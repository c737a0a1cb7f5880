"""The examples: what is installed for each, how its worker is started, and what that worker did."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.installing import install
from support.pages import blocks, commands
from support.processes import started

ROOT = Path(__file__).parents[2]
PAGES, EXAMPLES = ROOT / "docs" / "queues", ROOT / "examples"
_ORDER = re.compile(r"charged order (\d+):")


def page_of(kind: str) -> Path:
    return PAGES / f"{kind}.md"


def console(page: Path, title: str) -> str:
    """What is to be typed in one terminal."""
    [text] = [text for language, name, text in blocks(page) if (language, name) == ("console", title)]
    return text


@dataclass(frozen=True)
class Example:
    """A copy of an example in ``folder``, whose worker runs; ``environ`` finds plg and the server."""

    folder: Path
    environ: dict[str, str]
    log: Path

    def run(self, command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command beside the worker, again where plg found the machine too busy; forget what the worker did."""
        for _ in range(3):
            self.log.write_bytes(b"")
            done = subprocess.run(
                command, shell=True, cwd=folder or self.folder, env=self.environ, capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
            if done.returncode != 5:
                break
        return done

    def charged(self, jobs: int, seconds: float = 10.0) -> Counter[int]:
        """How often the worker ran each order since then, once it has run as many ``jobs``; delayed ones come late."""
        until = time.monotonic() + seconds
        while True:
            found = Counter(map(int, _ORDER.findall(self.log.read_text(errors="replace"))))
            if found.total() >= jobs or time.monotonic() > until:
                return found
            time.sleep(0.1)


@contextmanager
def example(kind: str, folder: Path, url: str, environment: Callable[..., Path]) -> Iterator[Example]:
    """Copy, install and start an example by the commands on its page. plg itself is the one under test."""
    shutil.copytree(EXAMPLES / kind, folder / kind)
    program = folder / "bin" / "plg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m plg "$@"\n')
    program.chmod(0o755)
    *first, (worker, _) = commands(console(page_of(kind), "the worker"))
    environ = os.environ | {"REDIS_URL": url, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
    for command, _ in first:
        words = shlex.split(command)
        if words == ["pip", "install", "--no-deps", "../.."]:
            environ["PYTHONPATH"] = str(ROOT)
        elif words[:2] == ["pip", "install"]:
            environ["PATH"] = f"{environment(kind, *words[2:])}:{environ['PATH']}"
        else:
            install(*words, folder=folder / kind)
    if kind == "sidekiq" and shutil.which("sidekiq") is None:
        pytest.skip("no sidekiq on PATH")
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    [ready] = re.findall(r"Once the\s+worker says `(.*?)`", page_of(kind).read_text(encoding="utf-8"))
    with _ready(worker, folder / kind, environ, ready) as log:
        yield Example(folder / kind, environ, log)


@contextmanager
def _ready(command: str, folder: Path, environ: dict[str, str], ready: str) -> Iterator[Path]:
    """The log of a worker that has said that it is ``ready``."""
    log = folder / "worker.log"
    with started(["sh", "-c", command], folder, environ, log) as process:
        until = time.monotonic() + 30
        while ready not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < until, log.read_text(errors="replace")[-2000:]
            time.sleep(0.05)
        yield log
