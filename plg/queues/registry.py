"""Every format by its name: those that plg ships, and those of installed packages (entry points ``plg.queues``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from plg.queues.base import Format

GROUP = "plg.queues"
SHIPPED: Mapping[str, str] = {
    "list": "plg.queues.lists:ListFormat",
    "stream": "plg.queues.streams:StreamFormat",
    "rq": "plg.queues.rq:RqFormat",
    "celery": "plg.queues.celery:CeleryFormat",
    "arq": "plg.queues.arq:ArqFormat",
    "dramatiq": "plg.queues.dramatiq:DramatiqFormat",
    "taskiq": "plg.queues.taskiq:TaskiqFormat",
    "taskiq_stream": "plg.queues.taskiq:TaskiqStreamFormat",
    "saq": "plg.queues.saq:SaqFormat",
    "huey": "plg.queues.huey:HueyFormat",
    "bullmq": "plg.queues.bullmq:BullmqFormat",
    "sidekiq": "plg.queues.sidekiq:SidekiqFormat",
    "asynq": "plg.queues.asynq:AsynqFormat",
}
"""Where the class of each format stands: it is loaded when a scenario uses it."""


class UnknownFormat(KeyError):
    """No format of this name; ``known`` are those there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name, self.known = name, known


def entry_points(**asked: str) -> Any:
    """Those of installed packages, by `importlib.metadata`, which is loaded when somebody asks."""
    from importlib import metadata

    return metadata.entry_points(**asked)


def names() -> tuple[str, ...]:
    """All formats there are, the shipped ones first."""
    return (*SHIPPED, *(name for name in sorted(entry_points(group=GROUP).names) if name not in SHIPPED))


@cache
def format_of(name: str) -> Format:
    """The format called ``name``. Raises `UnknownFormat`."""
    if name in SHIPPED:
        module, _, attribute = SHIPPED[name].partition(":")
        made: Format = getattr(import_module(module), attribute)()
        return made
    for entry in entry_points(group=GROUP, name=name):
        plugged: Format = entry.load()()
        return plugged
    raise UnknownFormat(name, names())
