"""A Celery application with one task."""

import os
import time

from celery import Celery

import plg.worker

app = Celery("shop", broker=os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
app.conf.task_default_queue = "shop"
app.conf.worker_prefetch_multiplier = 1  # else most of what waits is in the workers' hands, and not in the queue
plg.worker.celery(app)  # tells plg when each of its tasks was started and done


@app.task(name="shop.charge")
def charge(order, currency, amount):
    time.sleep(0.01)
    print(f"charged order {order}: {amount} {currency}", flush=True)
