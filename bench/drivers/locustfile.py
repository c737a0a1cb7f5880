"""Locust with redis-py. The environment says where (BENCH_SOCKET), how many pushes a task (BENCH_DEPTH) and how many
tasks a second each user makes (BENCH_PACE; 0 for as many as it can). Writes its own cost to BENCH_COST as JSON."""

import json
import os
import time
from pathlib import Path

import redis
from locust import User, constant_throughput, events, task

DEPTH = int(os.environ["BENCH_DEPTH"])
PACE = float(os.environ["BENCH_PACE"])
VALUE = b"x" * 80
begun = {}


class Pusher(User):
    if PACE:
        wait_time = constant_throughput(PACE)

    def on_start(self):
        self.client = redis.Redis(unix_socket_path=os.environ["BENCH_SOCKET"])

    @task
    def push(self):
        start = time.perf_counter()
        if DEPTH == 1:
            self.client.lpush("plg:bench", VALUE)
        else:
            pipeline = self.client.pipeline(transaction=False)
            for _ in range(DEPTH):
                pipeline.lpush("plg:bench", VALUE)
            pipeline.execute()
        begun["jobs"] = begun.get("jobs", 0) + DEPTH
        self.environment.events.request.fire(
            request_type="LPUSH", name="push", response_time=(time.perf_counter() - start) * 1000, response_length=0,
            exception=None, context={},
        )  # fmt: skip


@events.test_start.add_listener
def start(**_):
    begun.update(cpu=time.process_time(), wall=time.perf_counter(), jobs=0)


@events.test_stop.add_listener
def stop(**_):
    cost = {
        "jobs": begun["jobs"],
        "cpu_s": time.process_time() - begun["cpu"],
        "wall_s": time.perf_counter() - begun["wall"],
    }
    Path(os.environ["BENCH_COST"]).write_text(json.dumps(cost))
