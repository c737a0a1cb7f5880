"""The least a Python program does to hold a rate: sleep to the next millisecond, read what was answered, write one
ready command. Socket path, queue, jobs a second (a multiple of 1,000), seconds. Prints its own cost as JSON."""

import json
import socket
import sys
import time

from bench.server import command
from plg.runner.low_latency import sharpen

TICK = 0.001
path, queue, rate, duration = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
ticks, values = round(duration / TICK), round(rate * TICK)
words = command(b"LPUSH", queue.encode(), *[b"x" * 80] * values)
sharpen()
with socket.socket(socket.AF_UNIX) as server:
    server.connect(path)
    start = time.perf_counter() + 0.02
    begun = time.time() + 0.02
    time.sleep(0.02)  # what was made until here is warm and gone before the schedule begins
    cpu, wall = time.process_time(), time.perf_counter()
    for tick in range(1, ticks + 1):
        pause = start + tick * TICK - time.perf_counter()
        if pause > 0:
            time.sleep(pause)  # the schedule itself: to the next tick
        if tick > 1:
            server.recv(4096)
        server.sendall(words)
    server.recv(4096)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"jobs": ticks * values, "wall_s": wall, "cpu_s": cpu, "begun": begun}))
