"""Workers of the job frameworks: what is installed for each, what its worker runs, and how it is started.

Each worker writes a line of JSON for each job that it runs: ``{"seq": …, "text": …, "at": …, "end": …}``, the moments
in seconds since the epoch. A job takes some milliseconds, and as long as there is a file called ``seen.hold``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis

from plg import worker
from support.processes import started

NOTE = """
import asyncio, json, os, time
def write(**noted):
    if str(noted["seq"]) == os.environ.get("KILL") and not os.path.exists(os.environ["SEEN"] + ".killed"):
        open(os.environ["SEEN"] + ".killed", "w").close()
        time.sleep(0.2)
        os.kill(os.getpid(), 9)
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps(noted) + "\\n")
    if os.environ.get("FAIL"):
        raise ValueError("planted")
def held():
    return os.path.exists(os.environ["SEEN"] + ".hold")
def note(seq, text):
    at = time.time()
    time.sleep(0.004)
    while held():
        time.sleep(0.02)
    write(seq=seq, text=text, at=at, end=time.time())
async def noted(seq, text):
    at = time.time()
    await asyncio.sleep(0.004)
    while held():
        await asyncio.sleep(0.02)
    write(seq=seq, text=text, at=at, end=time.time())
"""
PYTHON = {
    "rq": """
def work(seq, text):
    note(seq, text)
""",
    "celery": """
from celery import Celery
app = Celery("shop", broker=os.environ["REDIS"])
app.conf.worker_prefetch_multiplier = 1
app.conf.task_default_queue = "shop"
@app.task(name="shop.work")
def work(seq, text, **more):
    note(seq, text)
""",
    "arq": """
from arq.connections import RedisSettings
async def work(ctx, seq, text):
    await noted(seq, text)
class WorkerSettings:
    functions = [work]
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS"])
    poll_delay = 0.05
    max_jobs = 50
""",
    "dramatiq": """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
dramatiq.set_broker(RedisBroker(url=os.environ["REDIS"]))
@dramatiq.actor(actor_name="work", queue_name="shop")
def work(seq, text):
    note(seq, text)
""",
    "taskiq": """
from taskiq import SimpleRetryMiddleware
from taskiq_redis import ListQueueBroker
broker = ListQueueBroker(os.environ["REDIS"], queue_name="shop").with_middlewares(SimpleRetryMiddleware())
@broker.task(task_name="work")
async def work(seq, text):
    await noted(seq, text)
""",
    "taskiq_stream": """
from taskiq import SimpleRetryMiddleware
from taskiq_redis import RedisStreamBroker
broker = RedisStreamBroker(os.environ["REDIS"], queue_name="shop").with_middlewares(SimpleRetryMiddleware())
@broker.task(task_name="work")
async def work(seq, text):
    await noted(seq, text)
""",
    "saq": """
from saq import Queue
queue = Queue.from_url(os.environ["REDIS"], name="shop")
async def work(ctx, *, seq, text):
    await noted(seq, text)
settings = {"queue": queue, "functions": [("work", work)], "concurrency": 20}
""",
    "huey": """
from huey import RedisHuey
huey = RedisHuey("shop", url=os.environ["REDIS"], results=False)
@huey.task()
def work(seq, text):
    note(seq, text)
""",
}
HOOKS = {
    "celery": "plg.worker.celery(app)",
    "arq": "WorkerSettings = plg.worker.arq(WorkerSettings)",
    "dramatiq": "plg.worker.dramatiq(dramatiq.get_broker())",
    "taskiq": "plg.worker.taskiq(broker)",
    "taskiq_stream": "plg.worker.taskiq(broker)",
    "saq": "settings = plg.worker.saq(settings)",
    "huey": "plg.worker.huey(huey)",
}
"""The line by which the worker of each tells plg of its jobs."""
SIDEKIQ = """
require "json"
require "sidekiq"
Sidekiq.configure_server { |config| config.redis = { url: ENV["REDIS"] } }
class Work
  include Sidekiq::Worker
  def perform(seq, text)
    at = Time.now.to_f
    sleep 0.004
    sleep 0.02 while File.exist?(ENV["SEEN"] + ".hold")
    line = { seq: seq, text: text, at: at, end: Time.now.to_f }.to_json + "\\n"
    if seq.to_s == ENV["KILL"] && !File.exist?(ENV["SEEN"] + ".killed")
      File.write(ENV["SEEN"] + ".killed", "")
      sleep 0.2
      Process.kill(9, Process.pid)
    end
    File.open(ENV["SEEN"], "a") { |f| f.write(line) }
    raise "planted" if ENV["FAIL"]
  end
end
"""
BULLMQ = """
const { Worker } = require("bullmq");
const { appendFileSync, existsSync } = require("fs");
const url = new URL(process.env.REDIS);
new Worker("shop", async (job) => {
  if (job.name !== "work") throw new Error(job.name);
  const at = Date.now() / 1000;
  await new Promise((done) => setTimeout(done, 4));
  while (existsSync(process.env.SEEN + ".hold")) await new Promise((done) => setTimeout(done, 20));
  if (String(job.data.seq) === process.env.KILL && !existsSync(process.env.SEEN + ".killed")) {
    appendFileSync(process.env.SEEN + ".killed", "");
    await new Promise((done) => setTimeout(done, 200));
    process.kill(process.pid, 9);
  }
  appendFileSync(process.env.SEEN, JSON.stringify({ ...job.data, at, end: Date.now() / 1000 }) + "\\n");
  if (process.env.FAIL) throw new Error("planted");
}, { connection: { host: url.hostname, port: Number(url.port) }, concurrency: 10 });
"""
ASYNQ = """
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

type job struct {
	Seq  int     `json:"seq"`
	Text string  `json:"text"`
	At   float64 `json:"at"`
	End  float64 `json:"end"`
}

func main() {
	opt, err := asynq.ParseRedisURI(os.Getenv("REDIS"))
	if err != nil {
		panic(err)
	}
	var lock sync.Mutex
	server := asynq.NewServer(opt, asynq.Config{Concurrency: 10, Queues: map[string]int{"shop": 1},
		DelayedTaskCheckInterval: time.Second,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Second }})
	mux := asynq.NewServeMux()
	mux.HandleFunc("work", func(_ context.Context, task *asynq.Task) error {
		var found job
		if err := json.Unmarshal(task.Payload(), &found); err != nil {
			return err
		}
		found.At = float64(time.Now().UnixMicro()) / 1e6
		time.Sleep(4 * time.Millisecond)
		for _, err := os.Stat(os.Getenv("SEEN") + ".hold"); err == nil; _, err = os.Stat(os.Getenv("SEEN") + ".hold") {
			time.Sleep(20 * time.Millisecond)
		}
		if strconv.Itoa(found.Seq) == os.Getenv("KILL") {
			if mark, err := os.OpenFile(os.Getenv("SEEN")+".killed", os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				mark.Close()
				time.Sleep(200 * time.Millisecond)
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}
		found.End = float64(time.Now().UnixMicro()) / 1e6
		line, _ := json.Marshal(found)
		lock.Lock()
		defer lock.Unlock()
		file, err := os.OpenFile(os.Getenv("SEEN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.Write(append(line, '\\n'))
		if os.Getenv("FAIL") != "" {
			return errors.New("planted")
		}
		return err
	})
	if err := server.Run(mux); err != nil {
		panic(err)
	}
}
"""


@dataclass(frozen=True)
class Framework:
    """How a scenario names its ``queue`` and its ``call``, and how one of its workers is started.

    ``positional`` takes ``args``; ``payload`` an object; else ``kwargs``. ``command`` is for the folder with the
    worker's file, where ``bin`` is the folder of its environment. ``before`` is a command for the server before the
    worker starts; jobs may be sent once the key ``awaits`` is there.
    """

    queue: str
    call: str
    takes: str
    command: Callable[[Path], list[str]]
    requirements: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    awaits: str = ""


def _python(
    kind: str, queue: str, call: str, *words: str, needs: tuple[str, ...], takes: str = "args", **more: Any
) -> Framework:
    """One whose worker is the program ``words[0]`` of its own environment."""
    files = {"shop.py": NOTE + PYTHON[kind]}
    return Framework(queue, call, takes, lambda bin: [str(bin / words[0]), *words[1:]], needs, files, **more)


def _rq(*options: str) -> Callable[[Path], list[str]]:
    """One process that forks for no job; RQ's program takes the URL of its server from no variable of ours."""
    words = ("--quiet", "--path", ".", "--worker-class", "rq.worker.SimpleWorker", *options)
    return lambda bin: ["sh", "-c", 'exec "$0" worker --url "$REDIS" "$@" shop', str(bin / "rq"), *words]


_CELERY = (
    "celery",
    "-A",
    "shop",
    "worker",
    "-Q",
    "shop",
    "-c",
    "1",
    "-P",
    "solo",
    "--without-mingle",
    "--without-gossip",
)
_TASKIQ = ("taskiq", "worker", "shop:broker", "--workers", "1")
_HUEY = ("huey_consumer", "shop.huey", "-w", "4", "-d", "0.05", "-m", "0.2")
_SIDEKIQ = (os.environ.get("PLG_TEST_SIDEKIQ", "sidekiq"), "-r", "./worker.rb", "-q", "shop", "-c", "5")
"""The variable PLG_TEST_SIDEKIQ names another program than the one that is installed."""
FRAMEWORKS: dict[str, Framework] = {
    "rq": Framework("shop", "shop.work", "args", _rq(), ("rq",), {"shop.py": NOTE + PYTHON["rq"]}),
    "celery": _python("celery", "shop", "shop.work", *_CELERY, needs=("celery[redis]",)),
    "arq": _python("arq", "arq:queue", "work", "arq", "shop.WorkerSettings", needs=("arq",)),
    "dramatiq": _python("dramatiq", "shop", "work", "dramatiq", "shop", "-p1", "-t4", needs=("dramatiq[redis]",)),
    "taskiq": _python("taskiq", "shop", "work", *_TASKIQ, needs=("taskiq-redis",)),
    # Its group sees what comes after it.
    "taskiq_stream": _python("taskiq_stream", "shop", "work", *_TASKIQ, needs=("taskiq-redis",), awaits="shop"),
    # SAQ imports typing_extensions and does not say so. A worker that starts sweeps, and takes a job that it has just
    # been given for one that was lost, whoever sent it: it runs twice then. This is the mark of a sweep just made.
    "saq": _python(
        "saq", "shop", "work", "saq", "shop.settings", needs=("saq[redis]", "typing_extensions"), takes="kwargs",
        before=("SET", "saq:shop:sweep", "1", "EX", "60"),
    ),
    "huey": _python("huey", "shop", "shop.work", *_HUEY, needs=("huey[redis]",)),
    "bullmq": Framework(
        "shop", "work", "payload", lambda bin: ["node", "worker.js"], ("bullmq", "ioredis"), {"worker.js": BULLMQ}
    ),
    "sidekiq": Framework("shop", "Work", "args", lambda bin: list(_SIDEKIQ), (), {"worker.rb": SIDEKIQ}),
    "asynq": Framework(
        "shop", "work", "payload", lambda bin: [str(bin / "worker")], ("github.com/hibiken/asynq@v0.26.0",),
        {"main.go": ASYNQ},
    ),
}  # fmt: skip
TAKES = {
    "args": 'args ["${seq}", "é ${seq}"]',
    "kwargs": 'kwargs { seq: "${seq}", text: "é ${seq}" }',
    "payload": 'payload { seq: "${seq}", text: "é ${seq}" }',
}


class Worker:
    """A running worker and what its jobs wrote."""

    def __init__(self, process: subprocess.Popen[bytes], seen: Path, log: Path) -> None:
        self.process, self._seen, self._log = process, seen, log

    def seen(self) -> list[dict[str, Any]]:
        """The jobs that were run so far, in the order in which they were."""
        return [json.loads(line) for line in self._seen.read_text().splitlines()] if self._seen.exists() else []

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, all its processes at once where it is killed."""
        (os.killpg if number == signal.SIGKILL else os.kill)(self.process.pid, number)
        self.process.wait(20)

    def log(self) -> str:
        """The last of what it said."""
        return self._log.read_text()[-3000:]

    def waits_for(self, jobs: int, seconds: float = 60.0) -> list[dict[str, Any]]:
        """The jobs, once so many have been run; what there is after that many ``seconds``."""
        until = time.monotonic() + seconds
        while len(self.seen()) < jobs and time.monotonic() < until:
            assert self.process.poll() is None, self._log.read_text()[-3000:]
            time.sleep(0.05)
        return self.seen()


def snippet(language: str) -> str:
    """What the page on workers shows in this language."""
    page = (Path(__file__).parents[2] / "docs" / "workers.md").read_text(encoding="utf-8")
    return page.partition("## Node, Ruby and Go")[2].partition(f"```{language}\n")[2].partition("```")[0]


def told(name: str) -> Framework:
    """A worker that tells plg of its jobs, as the page on workers says: one that has nothing of plg but `plg.worker`,
    or what the page shows in its language."""
    framework = FRAMEWORKS[name]
    if name == "rq":
        module = Path(worker.__file__).read_text(encoding="utf-8")
        files = {**framework.files, "plg/__init__.py": "", "plg/worker.py": module}
        return replace(framework, command=_rq("--job-class", "plg.worker.RqJob"), files=files)
    if name in HOOKS:
        own = f"{framework.files['shop.py']}import plg.worker\n{HOOKS[name]}\n"
        module = Path(worker.__file__).read_text(encoding="utf-8")
        return replace(framework, files={"shop.py": own, "plg/__init__.py": "", "plg/worker.py": module})
    if name == "sidekiq":
        chain = "Sidekiq.configure_server { |config| config.server_middleware { |chain| chain.add TellPlg } }\n"
        return replace(framework, files={"worker.rb": SIDEKIQ + snippet("ruby") + chain})
    if name == "bullmq":
        given = 'new Worker("shop", tellPlg(new (require("ioredis"))(process.env.REDIS), async (job) => {'
        own = BULLMQ.replace('new Worker("shop", async (job) => {', given).replace(
            "}, { connection", "}), { connection"
        )
        return replace(framework, files={"worker.js": snippet("js") + own})
    use = 'mux := asynq.NewServeMux()\n\tlink, _ := redis.ParseURL(os.Getenv("REDIS"))\n'
    use += "\tmux.Use(TellPlg(redis.NewClient(link)))\n"
    own = ASYNQ.replace("mux := asynq.NewServeMux()\n", use).replace('"context"', '"context"\n\t"fmt"')
    own = own.replace('hibiken/asynq"', 'hibiken/asynq"\n\t"github.com/redis/go-redis/v9"')
    files = {"main.go": own + snippet("go")}
    return replace(framework, command=lambda bin: [str(bin / "told")], files=files)


@contextmanager
def working(
    framework: Framework, bin: Path, folder: Path, url: str, *, again: bool = False, **more: str
) -> Iterator[Worker]:
    """A worker of the framework, for as long as it is needed. ``more`` goes into its environment; one that dies is
    started ``again``: with KILL it dies in the midst of the job of this number, with FAIL its jobs fail."""
    for name, text in framework.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    seen, log = folder / "seen", folder / "worker.log"
    given = {"REDIS": url, "SEEN": str(seen), "PYTHONPATH": str(folder), "NODE_PATH": str(bin)}
    command = framework.command(bin)
    if again:
        command = ["sh", "-c", 'while true; do "$@"; sleep 0.2; done', "sh", *command]
    with redis.Redis.from_url(url) as server:
        if framework.before:
            server.execute_command(*framework.before)
        with started(command, folder, os.environ | given | more, log) as process:
            worker = Worker(process, seen, log)
            while framework.awaits and not server.exists(framework.awaits):
                assert process.poll() is None, worker.log()
                time.sleep(0.02)
            yield worker
