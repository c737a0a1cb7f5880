"""Queues of the frameworks, as these leave them in Redis, and what plg says when it is to write to them.

The layouts were captured from real workers and senders: RQ 3.0.0, Celery 5.7.0, arq 0.28.0, dramatiq 2.2.1, taskiq
0.13.0 with taskiq-redis 1.2.4, SAQ 0.26.4, huey 3.5.4, BullMQ 6.7.0, Asynq 0.26.0; Sidekiq as its source writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from plg.queues.base import Job, Queue
from plg.targets.base import TargetError
from plg.targets.open import open_target

Words = tuple[str | bytes, ...]
CELERY_MESSAGE = (
    '{"body": "W1sxLCAyXSwge30sIHsiY2FsbGJhY2tzIjogbnVsbH1d", "content-encoding": "utf-8", "content-type": '
    '"application/json", "headers": {"lang": "py", "task": "capp.add", "id": "f2a34612"}, "properties": '
    '{"correlation_id": "f2a34612", "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "celery"}, '
    '"priority": 0, "body_encoding": "base64", "delivery_tag": "ba7f"}}'
)
TASKIQ_MESSAGE = (
    '{"task_id": "7e52", "task_name": "tq:add", "labels": {}, "labels_types": {}, "args": [1], "kwargs": {}}'
)
SIDEKIQ_JOB = (
    '{"retry":true,"queue":"default","class":"HardJob","args":[1],"jid":"b4a577edbccf1d805744efa9","created_at":1}'
)
HUEY_MESSAGE = (
    b"\x80\x05\x95f\x00\x00\x00\x00\x00\x00\x00\x8c\rhuey.registry\x94\x8c\x07Message\x94\x93\x94(\x8c$00614c2a-c40d-4f90-"
    b"9b3e-eff74cc50af0\x94\x8c\x06hu.add\x94NK\x00K\x00NK\x01\x85\x94}\x94NNNNNNK\x00t\x94\x81\x94."
)
ASYNQ_ABOUT = b"\n\x02vm\x10\xcb\x8a\x01 \x01*\x0c\n\x08critical\x10\x06*\x07\n\x03low\x10\x01:\x06active"
ASYNQ_SERVER = "asynq:servers:{host:4711:6f1a}"


@dataclass(frozen=True)
class Layout:
    """``commands`` that leave in Redis what a framework does; ``key`` is where its workers take jobs from."""

    title: str
    name: str
    key: str
    commands: tuple[Words, ...]
    how: str
    kind: str = "list"


def bound(queue: str) -> str:
    return f"{queue}\x06\x16\x06\x16{queue}"


def binding(exchange: str, queue: str, prefix: str = "") -> Words:
    return "SADD", f"{prefix}_kombu.binding.{exchange}", bound(queue)


def sidekiq_process(name: str, queue: str) -> tuple[Words, Words]:
    return ("SADD", "processes", name), ("HSET", name, "info", json.dumps({"queues": [queue]}), "busy", "0")


def sidekiq_job(queue: str, number: int) -> str:
    return SIDEKIQ_JOB.replace('"default"', f'"{queue}"').replace("b4a577edbccf", f"{number:012x}")


PIDBOX: Words = ("SADD", "_kombu.binding.celery.pidbox", "\x06\x16\x06\x16celery@vm.celery.pidbox")
LAYOUTS = [
    Layout("celery-idle", "Celery", "pay", (PIDBOX, binding("pay", "pay")), "the set _kombu.binding.pay names it"),
    Layout("celery-priority", "Celery", "pay\x06\x163", (binding("pay", "pay"),), "_kombu.binding.pay names it"),
    Layout(
        "celery-prefix", "Celery", "my-app:pay", (binding("pay", "pay", "my-app:"),), "my-app:_kombu.binding.pay names"
    ),
    Layout(
        "celery-exchange", "Celery", "pay", (PIDBOX, binding("shop", "pay"), binding("celery", "celery")),
        "the set _kombu.binding.shop names it",
    ),
    Layout(  # a worker without remote control, or one that has ended, leaves only this
        "celery-exchange-alone", "Celery", "pay", (binding("tasks", "pay"),), "the set _kombu.binding.tasks names it",
    ),
    Layout(
        "celery-long-prefix", "Celery", "my-app-prod-eu-1:pay", (binding("tasks", "pay", "my-app-prod-eu-1:"),),
        "the set my-app-prod-eu-1:_kombu.binding.tasks names it",
    ),
    Layout(
        "celery-many", "Celery", "pay", (*(binding("tasks", f"q{n}") for n in range(500)), binding("tasks", "pay")),
        "the set _kombu.binding.tasks names it",
    ),
    Layout(
        "celery-thousands", "Celery", "pay",
        (("SADD", "_kombu.binding.pay", *(bound(f"q{n}") for n in range(30_000)), bound("pay")),),
        "the set _kombu.binding.pay names it",
    ),
    Layout(
        "celery-far", "Celery", "pay",
        (
            ("MSET", *(word for n in range(60_000) for word in (f"key:{n}", "x"))), binding("tasks", "pay"),
            *(binding(f"exchange{n}", "other") for n in range(300)),
        ),
        "the set _kombu.binding.tasks names it",
    ),
    Layout(
        "celery-deep", "Celery", "a-b_c.d:e/f:g:h-pay", (binding("pay", "pay", "a-b_c.d:e/f:g:h-"),),
        "the set a-b_c.d:e/f:g:h-_kombu.binding.pay names it",
    ),
    Layout(
        "celery-unseparated", "Celery", "shoppay", (binding("pay", "pay", "shop"),), "shop_kombu.binding.pay names it"
    ),
    Layout(  # broker_transport_options = {"sep": ":"}
        "celery-sep", "Celery", "pay", (("SADD", "_kombu.binding.pay", "pay::pay"),), "_kombu.binding.pay names it"
    ),
    Layout(
        "celery-sep-priority", "Celery", "pay:3", (("SADD", "_kombu.binding.work", "pay::pay"),),
        "the set _kombu.binding.work names it",
    ),
    Layout(
        "celery-sep-topic", "Celery", "pay", (("SADD", "_kombu.binding.tp", "a.#:^a\\..*?$:pay"),),
        "the set _kombu.binding.tp names it",
    ),
    Layout("celery-name", "Celery", "celery", (), "celery is the name of its queue unless told otherwise"),
    Layout("celery-name-priority", "Celery", "celery\x06\x166", (), "celery is the name of its queue"),
    Layout("celery-events", "Celery", "celeryev.7d0c", (), "kombu keeps its own records"),
    Layout("celery-filled", "Celery", "jobs", (("LPUSH", "jobs", CELERY_MESSAGE),), "a Celery message waits in it"),
    Layout(
        "rq-idle", "RQ", "rq:queue:pay",
        (("SADD", "rq:workers", "rq:worker:bad4"), ("SADD", "rq:workers:pay", "rq:worker:bad4")),
        "the set rq:workers:pay names 1 worker of it",
    ),
    Layout(
        "rq-filled", "RQ", "rq:queue:pay", (("SADD", "rq:queues", "rq:queue:pay"), ("RPUSH", "rq:queue:pay", "id-1")),
        "the set rq:queues names it",
    ),
    Layout("rq-name", "RQ", "rq:queue:pay", (), "rq:queue:NAME is the name"),
    Layout(
        "bullmq-idle", "BullMQ", "bull:mail:wait", (("HSET", "bull:mail:meta", "opts.maxLenEvents", "10000"),),
        "the hash bull:mail:meta is that of a BullMQ queue",
    ),
    Layout(
        "bullmq-prefix", "BullMQ", "{x:y}:mail:wait",
        (
            ("HSET", "{x:y}:mail:meta", "opts.maxLenEvents", "10000", "version", "bullmq:6.7.0"),
            ("LPUSH", "{x:y}:mail:wait", "1"),
        ),
        "the hash {x:y}:mail:meta",
    ),
    Layout(
        "bullmq-events", "BullMQ", "shop:mail:events", (("HSET", "shop:mail:meta", "version", "bullmq:6.7.0"),),
        "the hash shop:mail:meta", "stream",
    ),
    Layout("bull-used", "BullMQ", "shop:mail:wait", (("SET", "shop:mail:id", "3"),), "the counter shop:mail:id"),
    Layout(
        "bull-idle", "BullMQ", "a:b:c:d:e:f:mail:active",
        (("SET", "a:b:c:d:e:f:mail:stalled-check", "1795881180000", "PX", "30000"),),
        "keeps the key a:b:c:d:e:f:mail:stalled-check",
    ),
    Layout("bullmq-name", "BullMQ", "bull:mail:wait", (), "bull:NAME:… are the names"),
    Layout(
        "sidekiq-idle", "Sidekiq", "queue:default",
        (
            ("SADD", "processes", "vm:1:a"),
            ("HSET", "vm:1:a", "info", '{"hostname":"vm","queues":["default","low"]}', "busy", "0"),
        ),
        "a worker among the set processes serves it",
    ),
    Layout(
        "sidekiq-capsules", "Sidekiq", "queue:slow",
        (
            ("SADD", "processes", "vm:1:a"),
            ("HSET", "vm:1:a", "info", '{"capsules":{"default":{"weights":{"fast":0}},"one":{"weights":{"slow":1}}}}'),
        ),
        "a worker among the set processes serves it",
    ),
    Layout(
        "sidekiq-namespace", "Sidekiq", "app:queue:low", (("SADD", "app:queues", "low"),), "the set app:queues names it"
    ),
    Layout(
        "sidekiq-many", "Sidekiq", "queue:slow",
        (
            *(word for n in range(1500) for word in sidekiq_process(f"vm:{n}:a", "fast")),
            *sidekiq_process("vm:x:a", "slow"),
        ),
        "a worker among the set processes serves it",
    ),
    *(
        Layout(
            f"sidekiq-{later}", "Sidekiq", f"{space}queue:default",
            (("ZADD", f"{space}{later}", *(word for n in range(3000) for word in (str(n), sidekiq_job("low", n))),
              "9", SIDEKIQ_JOB),),
            f"a job of it stands in the sorted set {space}{later}",
        )
        for later, space in (("schedule", ""), ("retry", "app:"), ("dead", "my-queue:queue:"))
    ),
    Layout(
        "sidekiq-record", "Sidekiq", "app:retry", (("SADD", "app:queues", "low"),),
        "it keeps its own records under that name",
    ),
    Layout(
        "sidekiq-blanks", "Sidekiq", "queue:slow",
        (("ZADD", "schedule", "1", json.dumps({"class": "A", "queue": "slow"})),),
        "a job of it stands in the sorted set schedule",
    ),
    Layout("sidekiq-name", "Sidekiq", "queue:default", (), "queue:default is the name of its queue unless told"),
    Layout("sidekiq-filled", "Sidekiq", "jobs", (("LPUSH", "jobs", SIDEKIQ_JOB),), "a Sidekiq job waits in it"),
    Layout(
        "asynq-idle", "Asynq", "asynq:{low}:pending",
        (
            ("ZADD", "asynq:servers", "1795857976", ASYNQ_SERVER),
            ("SET", ASYNQ_SERVER, ASYNQ_ABOUT),
        ),
        "a server among the set asynq:servers serves it",
    ),
    Layout(
        "asynq-filled", "Asynq", "asynq:{low}:pending", (("SADD", "asynq:queues", "low"),),
        "the set asynq:queues names it"
    ),
    Layout(
        "asynq-many", "Asynq", "asynq:{low}:pending",
        (
            ("ZADD", "asynq:servers", *(word for n in range(300) for word in ("1", f"asynq:servers:{{h:{n}:a}}"))),
            ("ZADD", "asynq:servers", "2", ASYNQ_SERVER), ("SET", ASYNQ_SERVER, ASYNQ_ABOUT),
        ),
        "a server among the set asynq:servers serves it",
    ),
    Layout(
        "asynq-long", "Asynq", f"asynq:{{{'low' * 50}}}:pending",
        (
            ("ZADD", "asynq:servers", "2", ASYNQ_SERVER),
            ("SET", ASYNQ_SERVER, b"*\x9b\x01\n\x96\x01" + b"low" * 50 + b"\x10\x01"),
        ),
        "a server among the set asynq:servers serves it",
    ),
    Layout("asynq-name", "Asynq", "asynq:{low}:pending", (), "asynq:{NAME}:… are the names"),
    Layout(
        "dramatiq-idle", "dramatiq", "dramatiq:default",
        (("ZADD", "dramatiq:__heartbeats__", "1795854619256", "41b6"),),
        "the sorted set dramatiq:__heartbeats__",
    ),
    Layout(
        "dramatiq-namespace", "dramatiq", "shop:work:mail", (("ZADD", "shop:work:__heartbeats__", "1", "41b6"),),
        "the sorted set shop:work:__heartbeats__",
    ),
    Layout(
        "dramatiq-deep", "dramatiq", "a:b:c:d:e:f:g:mail", (("ZADD", "a:b:c:d:e:f:g:__heartbeats__", "1", "41b6"),),
        "the sorted set a:b:c:d:e:f:g:__heartbeats__",
    ),
    Layout("dramatiq-name", "dramatiq", "dramatiq:default", (), "dramatiq:NAME is the name"),
    Layout(
        "arq-idle", "arq", "my:q", (("SET", "my:q:health-check", "Nov-28 08:30:21 j_complete=0"),),
        "a worker keeps the key my:q:health-check",
    ),
    Layout("arq-name", "arq", "arq:queue", (), "arq keeps its queue"),
    Layout("taskiq-filled", "taskiq", "work", (("LPUSH", "work", TASKIQ_MESSAGE),), "a taskiq message waits in it"),
    Layout("taskiq-name", "taskiq", "taskiq", (), "taskiq is the name of its queue"),
    Layout("taskiq-stream-name", "taskiq", "taskiq", (), "taskiq is the name of its queue", "stream"),
    Layout(
        "taskiq-stream-idle", "taskiq", "tqs", (("XGROUP", "CREATE", "tqs", "taskiq", "$", "MKSTREAM"),),
        "its consumer group taskiq reads the stream", "stream",
    ),
    Layout(
        "taskiq-stream-group", "taskiq", "tqs",
        (
            ("XGROUP", "CREATE", "tqs", "theirs", "$", "MKSTREAM"),
            ("XGROUP", "CREATE", "tqs", "mine", "$"),
            ("XGROUP", "CREATECONSUMER", "tqs", "mine", "5a4b9c5e-34b6-4b8d-9e0e-0f2a8a3a4e11"),
        ),
        "workers with names as taskiq's read it in its consumer group mine", "stream",
    ),
    Layout(
        "taskiq-stream-filled", "taskiq", "tqs", (("XADD", "tqs", "*", "data", TASKIQ_MESSAGE),),
        "a taskiq message waits in it", "stream",
    ),
    Layout(
        "saq-idle", "SAQ", "saq:default:queued",
        (("ZADD", "saq:default:stats", "1795857976706", "saq:default:worker_info:b"),),
        "its workers keep the sorted set saq:default:stats",
    ),
    Layout(
        "saq-filled", "SAQ", "saq:default:queued",
        (("ZADD", "saq:default:incomplete", "0", "saq:job:default:1"),
         ("RPUSH", "saq:default:queued", "saq:job:default:1")),
        "the sorted set saq:default:incomplete holds its jobs",
    ),
    Layout("saq-name", "SAQ", "saq:default:queued", (), "saq:NAME:… are the names"),
    Layout("huey-name", "huey", "huey.redis.myapp", (), "huey.redis.NAME is the name"),
    Layout("huey-filled", "huey", "work", (("LPUSH", "work", HUEY_MESSAGE),), "a pickled huey message waits in it"),
]  # fmt: skip


def lay(server, commands: Iterable[Words]) -> None:
    for words in commands:
        assert not server.ask(*words).startswith(b"-"), words


def job(key: str, kind: str = "list") -> Job:
    return Job("job", queue=Queue(kind, key))


def refusal(url: str, *jobs: Job) -> str:
    with pytest.raises(TargetError) as caught:
        open_target(url, jobs).close()
    assert caught.value.kind == "refused"
    return str(caught.value)


def remarks(url: str, *jobs: Job, force: bool = False) -> tuple[str, ...]:
    with open_target(url, jobs, force=force) as target:
        return target.notes


def state(server) -> tuple[int, bytes]:
    return server.number("DBSIZE"), server.ask("DEBUG", "DIGEST")
