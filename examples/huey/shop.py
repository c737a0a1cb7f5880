"""A huey task, and its instance."""

import os
import time

from huey import RedisHuey

import plg.worker

huey = RedisHuey("shop", url=os.environ.get("REDIS_URL", "redis://localhost:6379/0"), results=False)
plg.worker.huey(huey)  # tells plg when each of its tasks was started and done


@huey.task()
def charge(order, currency, amount):
    time.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
