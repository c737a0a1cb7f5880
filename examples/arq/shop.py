"""A function for arq's worker, and its settings."""

import asyncio
import os

from arq.connections import RedisSettings


async def charge(ctx, order, currency, amount):
    await asyncio.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)


class WorkerSettings:
    functions = (charge,)
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
    poll_delay = 0.1
