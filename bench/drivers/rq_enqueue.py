"""rq, by its own enqueue_many: socket path, jobs, jobs a call. Prints its own cost as JSON."""

import json
import sys
import time

from redis import Redis
from rq import Queue

path, jobs, depth = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
queue = Queue("bench", connection=Redis(unix_socket_path=path))
queue.connection.ping()
value = "x" * 80
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(jobs // depth):
    queue.enqueue_many([Queue.prepare_data("tasks.work", args=(value,)) for _ in range(depth)])
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"jobs": jobs // depth * depth, "wall_s": wall, "cpu_s": cpu}))
