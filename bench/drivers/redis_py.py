"""redis-py, pipelines without a transaction: socket path, jobs, jobs a pipeline. Prints its own cost as JSON."""

import json
import sys
import time

import redis

path, jobs, depth = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = redis.Redis(unix_socket_path=path)
client.ping()
value = b"x" * 80
cpu, wall = time.process_time(), time.perf_counter()
for _ in range(jobs // depth):
    pipeline = client.pipeline(transaction=False)
    for _ in range(depth):
        pipeline.lpush("plg:bench", value)
    pipeline.execute()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"jobs": jobs // depth * depth, "wall_s": wall, "cpu_s": cpu}))
