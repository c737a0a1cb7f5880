"""celery, by apply_async on one connection: socket path, jobs. It has no call for many. Prints its own cost as JSON."""

import json
import sys
import time

from celery import Celery

path, jobs = sys.argv[1], int(sys.argv[2])
app = Celery("bench", broker=f"redis+socket://{path}")
app.conf.task_ignore_result = True


@app.task(name="tasks.work")
def work(value):
    return value


value = "x" * 80
with app.producer_pool.acquire(block=True) as producer:
    work.apply_async((value,), producer=producer)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(jobs):
        work.apply_async((value,), producer=producer)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"jobs": jobs, "wall_s": wall, "cpu_s": cpu}))
