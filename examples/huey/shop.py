"""A huey task, and its instance."""

import os
import time

from huey import RedisHuey

huey = RedisHuey("shop", url=os.environ.get("REDIS_URL", "redis://localhost:6379/0"), results=False)


@huey.task()
def charge(order, currency, amount):
    time.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
