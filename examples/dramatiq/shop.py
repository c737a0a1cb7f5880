"""A dramatiq actor."""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import plg.worker

broker = RedisBroker(url=os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
dramatiq.set_broker(broker)
plg.worker.dramatiq(broker)  # tells plg when each of its messages was started and done


@dramatiq.actor(actor_name="charge", queue_name="shop")
def charge(order, currency, amount):
    time.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
