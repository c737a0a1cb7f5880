"""arq, by enqueue_job with many calls at once: socket path, jobs, calls at once. Prints its own cost as JSON."""

import asyncio
import json
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings


async def main(path, jobs, depth):
    pool = await create_pool(RedisSettings(unix_socket_path=path))
    value = "x" * 80
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(jobs // depth):
        await asyncio.gather(*(pool.enqueue_job("work", value) for _ in range(depth)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await pool.aclose()
    print(json.dumps({"jobs": jobs // depth * depth, "wall_s": wall, "cpu_s": cpu}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
