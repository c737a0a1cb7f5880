"""One framework's own client, in the environment of that framework: kind, URL of the server, jobs, ``one`` or ``many``.

``one``: a call a job, one after the other. ``many``: the framework's own call for many jobs, where it has one; for
those on asyncio a hundred calls at once. Prints its own cost as JSON, without the start of Python and the connecting.
"""

import asyncio
import json
import sys
import time

VALUE = "x" * 80
AT_ONCE = 100


def work(value):
    return value


def rq(url, jobs, way):
    from redis import Redis
    from rq import Queue

    queue = Queue("bench", connection=Redis.from_url(url))
    queue.connection.ping()
    if way == "one":
        yield lambda: [queue.enqueue("tasks.work", VALUE) for _ in range(jobs)]
    else:
        yield lambda: [
            queue.enqueue_many([Queue.prepare_data("tasks.work", args=(VALUE,)) for _ in range(AT_ONCE)])
            for _ in range(jobs // AT_ONCE)
        ]


def celery(url, jobs, way):
    from celery import Celery

    app = Celery("bench", broker=url.replace("unix://", "redis+socket://"))
    app.conf.task_ignore_result = True
    task = app.task(name="tasks.work")(work)
    with app.producer_pool.acquire(block=True) as producer:
        task.apply_async((VALUE,), producer=producer)
        yield lambda: [task.apply_async((VALUE,), producer=producer) for _ in range(jobs)]


def dramatiq(url, jobs, way):
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=url))
    actor = dramatiq.actor(actor_name="work", queue_name="bench")(work)
    actor.send(VALUE)
    yield lambda: [actor.send(VALUE) for _ in range(jobs)]


def huey(url, jobs, way):
    from huey import RedisHuey

    queue = RedisHuey("bench", url=url, results=False)
    task = queue.task()(work)
    task(VALUE)
    yield lambda: [task(VALUE) for _ in range(jobs)]


async def each(jobs, way, call):
    """``jobs`` calls, one after the other or a hundred at once."""
    if way == "one":
        for _ in range(jobs):
            await call()
    else:
        for _ in range(jobs // AT_ONCE):
            await asyncio.gather(*(call() for _ in range(AT_ONCE)))


async def arq(url, jobs, way):
    from arq import create_pool
    from arq.connections import RedisSettings

    settings = RedisSettings(unix_socket_path=url[7:]) if url.startswith("unix") else RedisSettings.from_dsn(url)
    pool = await create_pool(settings)
    yield each(jobs, way, lambda: pool.enqueue_job("work", VALUE))
    await pool.aclose()


async def taskiq(url, jobs, way, broker=None):
    from taskiq_redis import ListQueueBroker

    queue = (broker or ListQueueBroker)(url, queue_name="bench")
    task = queue.task(task_name="work")(work)
    await queue.startup()
    yield each(jobs, way, lambda: task.kiq(VALUE))
    await queue.shutdown()


def taskiq_stream(url, jobs, way):
    from taskiq_redis import RedisStreamBroker

    return taskiq(url, jobs, way, RedisStreamBroker)


async def saq(url, jobs, way):
    from saq import Queue

    queue = Queue.from_url(url, name="bench")
    await queue.connect()
    yield each(jobs, way, lambda: queue.enqueue("work", value=VALUE))
    await queue.disconnect()


async def timed(made):
    running = await anext(made)
    cpu, wall = time.process_time(), time.perf_counter()
    await running
    return time.process_time() - cpu, time.perf_counter() - wall


def main(kind, url, jobs, way):
    made = globals()[kind](url, jobs, way)
    if hasattr(made, "__anext__"):
        cpu, wall = asyncio.run(timed(made))
    else:
        run = next(made)
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    done = jobs if way == "one" else jobs // AT_ONCE * AT_ONCE
    print(json.dumps({"jobs": done, "wall_s": wall, "cpu_s": cpu}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
