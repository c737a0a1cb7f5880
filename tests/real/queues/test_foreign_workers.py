"""Real workers of frameworks beside plg: it keeps out of their queues, and they go on with their work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.installing import npm

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


TASKIQ_APP = """
from taskiq_redis import RedisStreamBroker
broker = RedisStreamBroker({url!r}, queue_name="work", consumer_group_name="readers", consumer_id="0")
@broker.task
async def work(word: str) -> None:
    note(word)
"""
TASKIQ_SEND = """
import asyncio, sys, shopjobs
async def main():
    await shopjobs.broker.startup()
    await shopjobs.work.kiq(sys.argv[1])
    await shopjobs.broker.shutdown()
asyncio.run(main())
"""
DRAMATIQ_APP = """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
dramatiq.set_broker(RedisBroker(url={url!r}, namespace="a:b:c:d:e:f"))
@dramatiq.actor(queue_name="pay")
def work(word):
    note(word)
"""
CELERY_ELSEWHERE = """
from celery import Celery
from kombu import Exchange, Queue
app = Celery("shopjobs", broker={url!r})
app.conf.task_queues = [Queue("pay", Exchange("shop", type="topic"), routing_key="pay.#")]
app.conf.broker_transport_options = {{"global_keyprefix": "eu", "sep": ":"}}
"""
BULL_WORKER = """
const Bull = require("bull")
const queue = new Bull("mail", process.argv[2], {prefix: "shop:eu"})
const note = async (job) => require("fs").appendFileSync("seen", job.data.word + "\\n")
if (process.argv[3] === "work") queue.process(note)
else queue.add({word: process.argv[3]}).then(() => process.exit(0))
"""
SIDEKIQ_APP = """
require "sidekiq"
Sidekiq.configure_server {{ |c| c.redis = {{url: {url!r}}} }}
Sidekiq.configure_client {{ |c| c.redis = {{url: {url!r}}} }}
class Work
  include Sidekiq::Worker
  sidekiq_options queue: "slow"
  def perform(word) File.write({seen!r}, word + "\\n", mode: "a") end
end
"""


def marked(worker: Worker, folder: Path, server, mark: str, seconds: float = 30.0) -> None:
    """Waits until the worker, which has nothing to do, has left its mark."""
    until = time.monotonic() + seconds
    while not server.number("EXISTS", mark):
        assert worker.process.poll() is None, (folder / "worker.log").read_text()
        assert time.monotonic() < until, (folder / "worker.log").read_text()
        time.sleep(0.05)


def refused(folder: Path, server, queue: str, said: str, kind: str = "queue") -> None:
    size = "XLEN" if kind == "stream" else "LLEN"
    before = server.number(size, queue)
    exit_code, told = check(folder, server, queue, kind=kind)
    assert exit_code == 6, told
    assert said in told
    assert server.number(size, queue) == before


def node(folder: Path, package: str) -> str:
    """The program that runs JavaScript, with a package beside it."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on this machine")
    npm(folder, package)
    return program


def test_a_taskiq_stream_is_known_in_a_group_of_any_name(environment, server, tmp_path):
    program, seen = environment("taskiq", "taskiq-redis"), tmp_path / "seen"
    code(tmp_path, TASKIQ_APP.format(url=server.url()), seen)

    def send(word: str) -> None:
        subprocess.run([program / "python", "-c", TASKIQ_SEND, word], cwd=tmp_path, check=True)

    with running([program / "taskiq", "worker", "shopjobs:broker", "--workers", "1"], tmp_path, seen, send) as worker:
        marked(worker, tmp_path, server, "work")
        assert worker.works("first"), (tmp_path / "worker.log").read_text()
        refused(tmp_path, server, "work", "is a queue of taskiq (a taskiq message waits in it)", kind="stream")
        server.ask("XTRIM", "work", "MAXLEN", "0")
        refused(tmp_path, server, "work", "workers with names as taskiq's read it in its", kind="stream")
        assert worker.works("second"), (tmp_path / "worker.log").read_text()


def test_a_dramatiq_queue_is_known_in_a_namespace_of_many_parts(environment, server, tmp_path):
    program, seen = environment("dramatiq", "dramatiq[redis]"), tmp_path / "seen"
    code(tmp_path, DRAMATIQ_APP.format(url=server.url()), seen)

    def send(word: str) -> None:
        subprocess.run(
            [program / "python", "-c", f"import shopjobs; shopjobs.work.send({word!r})"], cwd=tmp_path, check=True
        )

    with running([program / "dramatiq", "shopjobs", "-p", "1", "-t", "1"], tmp_path, seen, send) as worker:
        marked(worker, tmp_path, server, "a:b:c:d:e:f:__heartbeats__")
        refused(
            tmp_path, server, "a:b:c:d:e:f:pay", "(the sorted set a:b:c:d:e:f:__heartbeats__ is that of its brokers)"
        )
        assert worker.works("first"), (tmp_path / "worker.log").read_text()


def test_a_celery_queue_is_known_under_a_prefix_a_separator_and_an_exchange_of_its_own(environment, server, tmp_path):
    program, seen = environment("celery", "celery[redis]"), tmp_path / "seen"
    code(tmp_path, CELERY_ELSEWHERE.format(url=server.url()), seen)
    command = [program / "celery", "-A", "shopjobs", "worker", "-c", "1"]
    with running(command, tmp_path, seen, lambda word: None) as worker:
        marked(worker, tmp_path, server, "eu_kombu.binding.shop")
        for queue in ("eupay", "eupay:3"):
            refused(tmp_path, server, queue, "is a queue of Celery (the set eu_kombu.binding.shop names it)")
        exit_code, told = check(tmp_path, server, "pay")
        assert exit_code == 0, told


@pytest.mark.parametrize("release", ["3", "4"])
def test_a_queue_of_bull_is_known_under_any_prefix(server, tmp_path, release):
    program, seen = node(tmp_path, f"bull@{release}"), tmp_path / "seen"
    (tmp_path / "mail.js").write_text(BULL_WORKER, encoding="utf-8")

    def send(word: str) -> None:
        subprocess.run([program, "mail.js", server.url(), word], cwd=tmp_path, check=True)

    with running([program, "mail.js", server.url(), "work"], tmp_path, seen, send) as worker:
        marked(worker, tmp_path, server, "shop:eu:mail:stalled-check")
        refused(tmp_path, server, "shop:eu:mail:wait", "keeps the key shop:eu:mail:stalled-check)")
        assert worker.works("first"), (tmp_path / "worker.log").read_text()
    refused(tmp_path, server, "shop:eu:mail:wait", "(the counter shop:eu:mail:id is that of a Bull queue)")


def test_a_queue_of_sidekiq_is_known_by_its_worker_and_by_jobs_for_later(server, tmp_path):
    program = shutil.which("sidekiq")
    if program is None:
        pytest.skip("no sidekiq on this machine")
    seen = tmp_path / "seen"
    (tmp_path / "work.rb").write_text(SIDEKIQ_APP.format(url=server.url(), seen=str(seen)), encoding="utf-8")

    def send(word: str, way: str = "perform_async(") -> None:
        subprocess.run(["ruby", "-r", "./work.rb", "-e", f"Work.{way}'{word}')"], cwd=tmp_path, check=True)

    with running([program, "-r", "./work.rb", "-q", "slow", "-c", "1"], tmp_path, seen, send) as worker:
        marked(worker, tmp_path, server, "processes")
        refused(tmp_path, server, "queue:slow", "is a queue of Sidekiq (a worker among the set processes serves it)")
        assert worker.works("first"), (tmp_path / "worker.log").read_text()
    server.ask("FLUSHALL")
    send("later", "perform_in(3600, ")
    refused(tmp_path, server, "queue:slow", "is a queue of Sidekiq (a job of it stands in the sorted set schedule)")
    exit_code, told = check(tmp_path, server, "queue:other")
    assert exit_code == 0, told
