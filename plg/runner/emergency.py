"""What follows an emergency stop beside the end of the run itself: the server is latched, and somebody is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plg.runner.interlock import InterlockHolder
from plg.stop import Stop

if TYPE_CHECKING:
    from plg.guardrails.terms import Webhook
    from plg.guardrails.webhook import Notifier

PATIENCE = 10.0
"""Seconds that a run which is over waits for its messages to be delivered."""


class Emergency:
    """Hears of the stop of one run. ``about`` is what a message says of it."""

    def __init__(
        self, interlock: InterlockHolder | None, webhooks: Sequence[Webhook], about: Mapping[str, Any]
    ) -> None:
        self._interlock, self._about = interlock, about
        self._said: list[str] = []
        self._notifiers = [found for each in webhooks if (found := self._notifier(each)) is not None]
        self._told = False

    def _notifier(self, webhook: Webhook) -> Notifier | None:
        from plg.guardrails.webhook import BadSecret, Notifier

        try:
            return Notifier(webhook, os.environ, self._said.append)
        except BadSecret as error:
            self._said.append(f"the webhook of the policy will not be told of an emergency stop: {error}")
            return None

    def hearing(self, stopped: Callable[[Stop], None]) -> Callable[[Stop], None]:
        """The hook ``stopped`` and this: called by the thread that sends, it waits for nothing."""

        def hear(stop: Stop) -> None:
            stopped(stop)
            if stop.name == "guardrail" and not stop.by:
                self._raise(stop.detail)

        return hear

    def _raise(self, guardrail: str) -> None:
        self._told = True
        if self._interlock is not None:
            self._interlock.latch(guardrail)
        for notifier in self._notifiers:
            notifier.notify("emergency.stop", {**self._about, "guardrail": guardrail})

    def close(self) -> tuple[str, ...]:
        """Wait for what is being delivered; remarks."""
        for notifier in self._notifiers if self._told else ():
            notifier.close(PATIENCE)
            if notifier.sent:
                self._said.append(f"{notifier.shown} was told of the emergency stop")
        return tuple(self._said)
