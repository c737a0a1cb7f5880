"""Every framework whose queues plg recognises."""

from __future__ import annotations

from plg.queues.owners.arq import Arq
from plg.queues.owners.asynq import Asynq
from plg.queues.owners.base import Owner
from plg.queues.owners.bullmq import BullMq
from plg.queues.owners.celery import Celery
from plg.queues.owners.dramatiq import Dramatiq
from plg.queues.owners.huey import Huey
from plg.queues.owners.rq import Rq
from plg.queues.owners.saq import Saq
from plg.queues.owners.sidekiq import Sidekiq
from plg.queues.owners.taskiq import Taskiq

OWNERS: tuple[Owner, ...] = (
    Celery(), Rq(), BullMq(), Sidekiq(), Asynq(), Dramatiq(), Arq(), Taskiq(), Saq(), Huey(),
)  # fmt: skip
