"""A function for SAQ's worker, and its settings."""

import asyncio
import os

from saq import Queue

queue = Queue.from_url(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), name="shop")


async def charge(ctx, *, order, currency, amount):
    await asyncio.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)


settings = {"queue": queue, "functions": [charge], "concurrency": 10}
