"""Workers that leave something of every job: results, jobs that failed, jobs to be tried again.

Each is the worker of `support.frameworks` with other jobs: every fifth fails, each takes 20 ms and returns something.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from support.frameworks import FRAMEWORKS, Framework

JOB = """
import json, os, time
def note(seq):
    with open(os.environ["SEEN"], "a") as file:
        file.write(json.dumps({"seq": seq}) + "\\n")
    time.sleep(0.02)
    if seq % 5 == 1:
        raise RuntimeError("planted")
    return {"seq": seq}
"""
PYTHON = {
    "rq": """
def work(seq, text):
    return note(seq)
""",
    "celery": """
from celery import Celery
app = Celery("shop", broker=os.environ["REDIS"], backend=os.environ["REDIS"])
app.conf.worker_prefetch_multiplier = 1
app.conf.task_default_queue = "shop"
@app.task(name="shop.work", bind=True, max_retries=2)
def work(self, seq, text, **more):
    try:
        return note(seq)
    except RuntimeError as error:
        if seq % 2:
            raise self.retry(exc=error, countdown=60)
        raise
""",
    "arq": """
from arq import Retry
from arq.connections import RedisSettings
async def work(ctx, seq, text):
    try:
        return note(seq)
    except RuntimeError:
        if seq % 2:
            raise Retry(defer=60)
        raise
class WorkerSettings:
    functions = [work]
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS"])
    poll_delay = 0.05
    max_jobs = 4
""",
    "dramatiq": """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
broker = RedisBroker(url=os.environ["REDIS"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["REDIS"])))
dramatiq.set_broker(broker)
@dramatiq.actor(actor_name="work", queue_name="shop", store_results=True)
def work(seq, text):
    return note(seq)
""",
    "taskiq": """
from taskiq import SimpleRetryMiddleware
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend
broker = ListQueueBroker(os.environ["REDIS"], queue_name="shop").with_result_backend(
    RedisAsyncResultBackend(os.environ["REDIS"])).with_middlewares(SimpleRetryMiddleware())
@broker.task(task_name="work")
async def work(seq, text):
    return note(seq)
""",
    "saq": """
from saq import Queue
queue = Queue.from_url(os.environ["REDIS"], name="shop")
async def work(ctx, *, seq, text):
    return note(seq)
settings = {"queue": queue, "functions": [("work", work)], "concurrency": 4}
""",
    "huey": """
from huey import RedisHuey
huey = RedisHuey("shop", url=os.environ["REDIS"])
@huey.task()
def work(seq, text):
    return note(seq)
""",
}
PYTHON["taskiq_stream"] = PYTHON["taskiq"].replace("ListQueueBroker", "RedisStreamBroker")
RUBY = """
require "json"
require "sidekiq"
Sidekiq.configure_server { |config| config.redis = { url: ENV["REDIS"] } }
class Work
  include Sidekiq::Worker
  def perform(seq, text)
    File.open(ENV["SEEN"], "a") { |f| f.write({ seq: seq }.to_json + "\\n") }
    sleep 0.02
    raise "planted" if seq % 5 == 1
  end
end
"""
NODE = """
const { Worker } = require("bullmq");
const { appendFileSync } = require("fs");
const url = new URL(process.env.REDIS);
const worker = new Worker("shop", async (job) => {
  appendFileSync(process.env.SEEN, JSON.stringify({ seq: job.data.seq }) + "\\n");
  await job.log("begun");
  await new Promise((done) => setTimeout(done, 20));
  if (job.data.seq % 5 === 1) throw new Error("planted");
  return { seq: job.data.seq };
}, { connection: { host: url.hostname, port: Number(url.port) }, concurrency: 2 });
process.on("SIGTERM", async () => { await worker.close(); process.exit(0); });
"""
GO = """
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

func main() {
	opt, err := asynq.ParseRedisURI(os.Getenv("REDIS"))
	if err != nil {
		panic(err)
	}
	var lock sync.Mutex
	seen, err := os.OpenFile(os.Getenv("SEEN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	server := asynq.NewServer(opt, asynq.Config{Concurrency: 2, Queues: map[string]int{"shop": 1}})
	mux := asynq.NewServeMux()
	mux.HandleFunc("work", func(_ context.Context, task *asynq.Task) error {
		var job struct{ Seq int }
		if err := json.Unmarshal(task.Payload(), &job); err != nil {
			return err
		}
		lock.Lock()
		fmt.Fprintf(seen, "{\\"seq\\": %d}\\n", job.Seq)
		lock.Unlock()
		time.Sleep(20 * time.Millisecond)
		if job.Seq%5 == 1 {
			return errors.New("planted")
		}
		return nil
	})
	if err := server.Run(mux); err != nil {
		panic(err)
	}
}
"""
REGISTERED = {
    "rq": (b"rq:worker", b"rq:clean_"),
    "celery": (b"_kombu.binding", b"unacked_mutex"),
    "arq": (b"arq:queue:health-check",),
    "dramatiq": (b"dramatiq:__heartbeats__",),
    "taskiq": (),
    # The stream itself holds the consumer group, and its consumers.
    "taskiq_stream": (b"shop", b"autoclaim:"),
    "saq": (b"saq:shop:stats", b"saq:shop:worker_info", b"saq:shop:schedule", b"saq:shop:sweep"),
    "huey": (),
    "bullmq": (b"bull:shop:meta", b"bull:shop:stalled-check"),
    "sidekiq": (b"process", b"stat:", b"j|", b"h|"),
    "asynq": (b"asynq:servers", b"asynq:workers", b"asynq:{shop}:processed", b"asynq:{shop}:failed"),
}
"""What the keys begin with in which the workers of each framework write down themselves, and count."""


def untidy(name: str, bin: Path) -> Framework:
    """The worker of a framework whose environment is in ``bin``."""
    if name in PYTHON:
        return replace(FRAMEWORKS[name], files={"shop.py": JOB + PYTHON[name]})
    if name == "bullmq":
        return replace(FRAMEWORKS[name], files={"worker.js": NODE})
    if name == "sidekiq":
        return replace(FRAMEWORKS[name], files={"worker.rb": RUBY})
    folder = bin / "untidy"
    if not folder.exists():
        folder.mkdir()
        (folder / "main.go").write_text(GO)
        subprocess.run(["go", "build", "-o", "left", "./untidy"], cwd=bin, check=True, capture_output=True)
    return replace(FRAMEWORKS[name], command=lambda bin: [str(bin / "left")], files={})
