"""What each framework itself counts of its queue: a program that asks its own interface, beside its worker.

Each prints an object of those it can tell of ``waiting``, ``in_flight``, ``delayed``, ``dead``, and ``total`` for the
first three together. taskiq has no count of its own: its list, and the group of its stream, are asked. What Celery's
workers have and have acknowledged, as they do when they begin a task unless told otherwise, is in its broker no more.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

_TELL = """
import asyncio, json, os, sys
def tell(**counts):
    print(json.dumps(counts))
"""
_PYTHON = {
    "rq": """
from redis import Redis
from rq import Queue
queue = Queue("shop", connection=Redis.from_url(os.environ["REDIS"]))
tell(waiting=queue.count, in_flight=queue.started_job_registry.count, delayed=queue.scheduled_job_registry.count,
     dead=queue.failed_job_registry.count)
""",
    "celery": """
from shop import app
with app.connection_for_read() as connection:
    waiting = connection.default_channel.queue_declare("shop", passive=True).message_count
inspect = app.control.inspect(timeout=3)
answers = [inspect.active(), inspect.reserved(), inspect.scheduled()]
tasks = [task.get("request", task) for answer in answers for found in (answer or {}).values() for task in found]
tell(waiting=waiting, in_flight=len({task["id"] for task in tasks if not task["acknowledged"]}))
""",
    "arq": """
from collections import Counter
from arq import create_pool
from arq.jobs import Job, JobStatus
from shop import WorkerSettings
async def ask():
    pool = await create_pool(WorkerSettings.redis_settings)
    found = Counter([await Job(job.job_id, pool).status() for job in await pool.queued_jobs()])
    tell(waiting=found[JobStatus.queued], in_flight=found[JobStatus.in_progress], delayed=found[JobStatus.deferred])
asyncio.run(ask())
""",
    "dramatiq": """
import dramatiq, shop
tell(total=dramatiq.get_broker().do_qsize("shop"))
""",
    "taskiq": """
from redis import Redis
tell(waiting=Redis.from_url(os.environ["REDIS"]).llen("shop"))
""",
    "taskiq_stream": """
from redis import Redis
[group] = Redis.from_url(os.environ["REDIS"]).xinfo_groups("shop")
tell(waiting=group["lag"] + group["pending"], in_flight=group["pending"])
""",
    "saq": """
from shop import queue
async def ask():
    await queue.connect()
    told = await queue.info()
    tell(waiting=told["queued"], in_flight=told["active"], delayed=told["scheduled"])
asyncio.run(ask())
""",
    "huey": """
from shop import huey
tell(waiting=huey.pending_count(), delayed=huey.scheduled_count())
""",
}
_NODE = """
const { Queue } = require("bullmq");
const url = new URL(process.env.REDIS);
const queue = new Queue("shop", { connection: { host: url.hostname, port: Number(url.port) } });
queue.getJobCounts().then(async (found) => {
  const { waiting, prioritized, active, delayed, failed } = found;
  console.log(JSON.stringify({ waiting: waiting + prioritized, in_flight: active, delayed, dead: failed }));
  await queue.close();
});
"""
_RUBY = """
require "json"
require "sidekiq"
require "sidekiq/api"
Sidekiq.configure_client { |config| config.redis = { url: ENV["REDIS"] } }
counts = { waiting: Sidekiq::Queue.new("shop").size, delayed: Sidekiq::ScheduledSet.new.size }
puts counts.merge(dead: Sidekiq::DeadSet.new.size).to_json
"""
GO = """
package main

import (
	"fmt"
	"os"

	"github.com/hibiken/asynq"
)

func main() {
	opt, err := asynq.ParseRedisURI(os.Getenv("REDIS"))
	if err != nil {
		panic(err)
	}
	told, err := asynq.NewInspector(opt).GetQueueInfo("shop")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\\"waiting\\": %d, \\"in_flight\\": %d, \\"delayed\\": %d, \\"dead\\": %d}",
		told.Pending, told.Active, told.Scheduled+told.Retry, told.Archived)
}
"""


def own_counts(name: str, bin: Path, folder: Path, url: str) -> dict[str, int]:
    """What the framework, installed in ``bin``, counts of the queue whose worker's files are in ``folder``."""
    if name in _PYTHON:
        words, text = [bin / "python", "own_counts.py"], _TELL + _PYTHON[name]
    elif name == "bullmq":
        words, text = ["node", "own_counts.js"], _NODE
    elif name == "sidekiq":
        words, text = ["ruby", "own_counts.rb"], _RUBY
    else:
        words, text = [bin / "counts"], ""
    if text:
        (folder / str(words[-1])).write_text(text)
    given = {"REDIS": url, "SEEN": str(folder / "asked"), "PYTHONPATH": str(folder), "NODE_PATH": str(bin)}
    done = subprocess.run(
        words, cwd=folder, env=os.environ | given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, int] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
