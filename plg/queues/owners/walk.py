"""Looking through a set, a sorted set or all keys page by page: to the end, or to a bound that is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.queues.owners.base import Finding, Inquiry, Mark, Unseen

_BEGIN = b"0"


@dataclass(frozen=True, slots=True)
class Walk:
    """``command`` over ``key``, or over all keys of the database, of each node in a cluster.

    What fits the pattern ``match`` goes to ``find``, one page of about ``page`` at a time. The bounds are ``pages``,
    and ``most`` that fit, for where each of these costs a further question. Reaching one of them is `Unseen`, in whose
    words ``what`` is that which is looked through, in the plural.
    """

    command: Literal["SCAN", "SSCAN", "ZSCAN"]
    key: str | bytes
    what: str
    find: Callable[[Sequence[bytes]], Finding]
    match: str = "*"
    page: int = 1000
    pages: int = 10
    most: int = sys.maxsize

    def begin(self) -> Inquiry:
        """The first page."""
        return self._page(_BEGIN, 1, 0)

    def _page(self, cursor: bytes, number: int, fitted: int) -> Inquiry:
        scope = () if self.command == "SCAN" else (self.key,)

        def read(answers: Sequence[Any]) -> Finding:
            if answers[0] is None:
                return None  # refused, which is noted by whoever asked, or no such set
            then, found = answers[0]
            found = found[::2] if self.command == "ZSCAN" else found
            seen = found[: self.most - fitted]
            finding = self.find(seen) if seen else None
            if isinstance(finding, str | Mark):
                return finding
            return (*_parts(finding), *self._onward(then, number, fitted + len(found)))

        question = (self.command, *scope, cursor, "MATCH", self.match, "COUNT", self.page)
        return Inquiry((question,), read, everywhere=self.command == "SCAN")

    def _onward(self, cursor: bytes, number: int, fitted: int) -> tuple[Unseen | Inquiry, ...]:
        if fitted > self.most or (fitted == self.most and cursor != _BEGIN):
            return (_ended(self.most, self.what),)
        if cursor == _BEGIN:
            return ()
        if number == self.pages:
            return (_ended(self.page * self.pages, self.what),)
        return (self._page(cursor, number + 1, fitted),)


def _ended(number: int, what: str) -> Unseen:
    return Unseen(f"only some {number:,} {what} were looked at")


def _parts(finding: Unseen | Inquiry | tuple[Unseen | Inquiry, ...] | None) -> tuple[Unseen | Inquiry, ...]:
    if finding is None:
        return ()
    return finding if isinstance(finding, tuple) else (finding,)
