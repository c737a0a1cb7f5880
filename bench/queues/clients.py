"""The frameworks' own clients: how each is installed, and how it is asked to enqueue."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.child import run
from bench.entrants import Entry, Figures, driver, told
from bench.peers import CACHE, environment
from bench.server import Server

ONE, MANY = "one", "many"


@dataclass(frozen=True)
class Client:
    """A framework's own client. ``words`` begin the command once it is installed; URL, jobs and way follow.

    ``many`` says what its way of enqueueing many at once is called; empty where it has none.
    """

    kind: str
    one: str
    many: str
    install: Callable[[], str | None]
    words: Callable[[], list[str]]
    asked: Callable[[], list[str]]
    """The command that prints its version."""

    def version(self) -> str:
        """Of the client that is installed."""
        return subprocess.run(self.asked(), capture_output=True, text=True, check=False).stdout.strip() or "unknown"

    def entry(self, jobs: int, way: str) -> Entry:
        def once(server: Server) -> Figures:
            return told(run([*self.words(), server.url, str(jobs), way]))

        return once


def _python(kind: str, one: str, many: str, *packages: str) -> Client:
    package = packages[0].partition("[")[0]
    folder = CACHE / package
    tell = f"from importlib.metadata import version; print(version('{package}'))"
    return Client(
        kind, one, many,
        lambda: environment(folder, list(packages), install=True),
        lambda: [str(folder / "bin" / "python"), driver("enqueue.py"), kind],
        lambda: [str(folder / "bin" / "python"), "-c", tell],
    )  # fmt: skip


def _commands(folder: Path, *commands: list[str]) -> str | None:
    """Why the ``commands`` that install something into ``folder`` failed; None where they did not."""
    stamp = folder / ".complete"
    if stamp.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for words in commands:
        if shutil.which(words[0]) is None:
            return f"needs {words[0]} on the PATH"
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600)
        if done.returncode:
            return f"could not be installed: {(done.stderr or done.stdout).strip().splitlines()[-1][:200]}"
    stamp.touch()
    return None


def _bullmq() -> str | None:
    return _commands(
        CACHE / "bullmq", ["npm", "install", "--no-audit", "--no-fund", "--prefix", ".", "bullmq", "ioredis"]
    )


def _asynq() -> str | None:
    folder = CACHE / "asynq"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(driver("enqueue.go"), folder / "main.go")
    return _commands(
        folder, ["go", "mod", "init", "bench"], ["go", "get", "github.com/hibiken/asynq@latest"],
        ["go", "build", "-o", "enqueue", "."],
    )  # fmt: skip


def _sidekiq() -> str | None:
    if shutil.which("sidekiq") is None:
        return "needs ruby and sidekiq on the PATH (package ruby-sidekiq)"
    return None


CLIENTS = (
    _python("rq", "enqueue", "enqueue_many", "rq"),
    _python("celery", "apply_async", "", "celery[redis]"),
    _python("arq", "enqueue_job", "enqueue_job, 100 at once", "arq"),
    _python("dramatiq", "send", "", "dramatiq[redis]"),
    _python("taskiq", "kiq", "kiq, 100 at once", "taskiq-redis"),
    _python("taskiq_stream", "kiq", "kiq, 100 at once", "taskiq-redis"),
    _python("saq", "enqueue", "enqueue, 100 at once", "saq[redis]", "typing_extensions"),
    _python("huey", "call", "", "huey[redis]"),
    Client("bullmq", "add", "addBulk of 100", _bullmq,
           lambda: ["node", driver("enqueue.cjs"), str(CACHE / "bullmq" / "node_modules")],
           lambda: ["node", "-p", f"require('{CACHE}/bullmq/node_modules/bullmq/package.json').version"]),
    Client("sidekiq", "push", "push_bulk of 100", _sidekiq, lambda: ["ruby", driver("enqueue.rb")],
           lambda: ["ruby", "-e", "require 'sidekiq'; puts Sidekiq::VERSION"]),
    Client("asynq", "Enqueue", "", _asynq, lambda: [str(CACHE / "asynq" / "enqueue")],
           lambda: ["go", "list", "-C", str(CACHE / "asynq"), "-m", "-f", "{{.Version}}", "github.com/hibiken/asynq"]),
)  # fmt: skip
