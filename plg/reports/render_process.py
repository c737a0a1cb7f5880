"""The drawing process of the next page, started ahead of it where somebody sees it coming."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Self

from plg.reports.render import Drawing

_PATIENCE = 5.0
"""Seconds that a run waits for a drawing process to fall asleep; on a machine so busy, its start is not what tells."""


class RenderProcess:
    """Has room for one drawing of an HTML report. Leaving its context ends a process that has drawn nothing.

    Where no page is ``wanted``, none is ever started ahead.
    """

    def __init__(self, wanted: bool = True) -> None:
        self._wanted = wanted
        self._next: Drawing | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def set_up(self) -> None:
        """Start the process of the next drawing now, unless it has been started."""
        if self._wanted and self._next is None:
            with suppress(OSError):  # told when there is something to draw: that is when it is tried again
                self._next = Drawing("html")

    def await_calm(self) -> None:
        """Return when the process that was started uses no more of the machine until there is something to draw."""
        if self._next is not None:
            self._next.await_ready(_PATIENCE)

    def clear(self) -> None:
        """End the process that was started, if one was."""
        drawing, self._next = self._next, None
        if drawing is not None:
            drawing.abandon()

    def begin(self, outcome_json: str) -> Drawing:
        """The drawing of an outcome's HTML report, by the process that was started or a new one."""
        drawing, self._next = self._next or Drawing("html"), None
        drawing.begin(outcome_json)
        return drawing
