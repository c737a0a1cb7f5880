"""A taskiq task, and its broker on a list."""

import asyncio
import os

from taskiq_redis import ListQueueBroker

import plg.worker

broker = ListQueueBroker(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), queue_name="shop")
plg.worker.taskiq(broker)  # tells plg when each of its tasks was started and done


@broker.task(task_name="charge")
async def charge(order, currency, amount):
    await asyncio.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
