"""Real workers of Celery and RQ beside plg: it keeps out of their queues, and they go on with their work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCENARIO = """
scenario "load" {{
  job work {{ {kind} "{queue}" }}
  traffic {{ steady 50/s over 1s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  expect {{ errors == 0  acked == 50 }}
}}
"""
NOTE = """
def note(word):
    with open({seen!r}, "a") as file:
        file.write(word + "\\n")
"""
CELERY_APP = """
from celery import Celery
app = Celery("shopjobs", broker={url!r})
@app.task
def work(word):
    note(word)
"""


def check(folder: Path, server, queue: str, *options: str, kind: str = "queue") -> tuple[int, str]:
    (folder / "load.plg").write_text(SCENARIO.format(kind=kind, queue=queue), encoding="utf-8")
    command = [sys.executable, "-m", "plg", "check", "load.plg", "--target", server.url(), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class Worker:
    """A running worker of a framework and the words that its jobs wrote."""

    def __init__(self, process: subprocess.Popen, seen: Path, send: Callable[[str], None]) -> None:
        self.process, self.seen, self.send = process, seen, send

    def words(self) -> list[str]:
        return self.seen.read_text().split() if self.seen.exists() else []

    def works(self, word: str, seconds: float = 30.0) -> bool:
        """Whether a job that is sent now is run, by a worker that has not ended."""
        self.send(word)
        until = time.monotonic() + seconds
        while word not in self.words() and time.monotonic() < until:
            time.sleep(0.05)
        return word in self.words() and self.process.poll() is None


@contextmanager
def running(command: list, folder: Path, seen: Path, send: Callable[[str], None]) -> Iterator[Worker]:
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(folder)}
        )
        try:
            yield Worker(process, seen, send)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def code(folder: Path, text: str, seen: Path) -> None:
    (folder / "shopjobs.py").write_text(NOTE.format(seen=str(seen)) + text, encoding="utf-8")


@pytest.fixture
def celery(environment, server, tmp_path) -> Iterator[Worker]:
    program, seen = environment("celery", "celery[redis]"), tmp_path / "seen"
    code(tmp_path, CELERY_APP.format(url=server.url()), seen)

    def send(word: str) -> None:
        text = f"import shopjobs; shopjobs.work.apply_async(({word!r},))"
        subprocess.run([program / "python", "-c", text], cwd=tmp_path, check=True)

    command = [program / "celery", "-A", "shopjobs", "worker", "-c", "1", "-l", "INFO"]
    with running(command, tmp_path, seen, send) as worker:
        assert worker.works("first"), (tmp_path / "worker.log").read_text()
        yield worker


@pytest.fixture
def rq(environment, server, tmp_path) -> Iterator[Worker]:
    program, seen = environment("rq", "rq"), tmp_path / "seen"
    code(tmp_path, "", seen)

    def send(word: str) -> None:
        text = (
            "import sys; from redis import Redis; from rq import Queue; "
            "Queue('default', connection=Redis.from_url(sys.argv[1])).enqueue('shopjobs.note', sys.argv[2])"
        )
        subprocess.run([program / "python", "-c", text, server.url(), word], cwd=tmp_path, check=True)

    command = [program / "rq", "worker", "--url", server.url(), "default"]
    with running(command, tmp_path, seen, send) as worker:
        assert worker.works("first"), (tmp_path / "worker.log").read_text()
        yield worker


def unharmed(worker: Worker, folder: Path, server, own: str, said: str) -> None:
    """The worker's queue is refused while it is idle and while it is full, another one is not, and it works on."""
    for kind in ("queue", "stream"):
        exit_code, told = check(folder, server, own, kind=kind)
        assert exit_code == 6, told
        assert said in told
        assert "0 sent" in told
    assert worker.works("second"), (folder / "worker.log").read_text()
    exit_code, told = check(folder, server, "plg:load")
    assert exit_code == 0, told
    assert server.number("LLEN", "plg:load") == 50
    assert worker.works("third"), (folder / "worker.log").read_text()
    worker.process.terminate()
    worker.process.wait(15)
    worker.send("fourth")
    exit_code, told = check(folder, server, own)
    assert exit_code == 6, told
    assert server.number("LLEN", own) == 1
    assert worker.words() == ["first", "second", "third"]


def test_a_celery_worker_is_left_in_peace(celery, server, tmp_path):
    unharmed(celery, tmp_path, server, "celery", "is a queue of Celery (the set _kombu.binding.celery names it)")


def test_an_rq_worker_is_left_in_peace(rq, server, tmp_path):
    unharmed(rq, tmp_path, server, "rq:queue:default", "is a queue of RQ (the set rq:")


def test_by_force_it_is_written_to_and_the_report_says_so(environment, server, tmp_path):
    program = environment("rq", "rq")
    text = (
        "import sys; from redis import Redis; from rq import Queue; "
        "Queue('default', connection=Redis.from_url(sys.argv[1])).enqueue('shopjobs.note', 'x')"
    )
    subprocess.run([program / "python", "-c", text, server.url()], check=True)
    exit_code, told = check(tmp_path, server, "rq:queue:default", "--force")
    assert exit_code == 0, told
    assert "belongs to RQ (the set rq:queues names it) and is written to all the same" in told
    assert "1 job waited in 'rq:queue:default' before the first job of this run" in told
    assert server.number("LLEN", "rq:queue:default") == 51
