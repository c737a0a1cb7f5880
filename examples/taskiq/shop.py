"""A taskiq task, and its broker on a list."""

import asyncio
import os

from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), queue_name="shop")


@broker.task(task_name="charge")
async def charge(order, currency, amount):
    await asyncio.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
