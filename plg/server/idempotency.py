"""Requests that come twice with one ``Idempotency-Key``: the second gets the answer of the first."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from plg.server.problems import Problem

_KEPT = 1000
_LONGEST = 255


class Repeats:
    """Answers by account and key, the newest of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[str, asyncio.Future[Any]]] = OrderedDict()

    async def once(self, account: str, key: str | None, body: bytes, make: Callable[[], Awaitable[Any]]) -> Any:
        """What ``make`` gives, or gave when this key came first. Raises `Problem` 422 where the body is another one."""
        if key is None:
            return await make()
        if not 0 < len(key) <= _LONGEST or not key.isprintable():
            raise Problem(422, "bad-key", f"an Idempotency-Key has 1 to {_LONGEST} printable characters")
        digest = hashlib.sha256(body).hexdigest()
        known = self._known.get((account, key))
        if known is not None:
            if known[0] != digest:
                raise Problem(422, "key-used", "this Idempotency-Key came with another body before")
            return await asyncio.shield(known[1])
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._known[account, key] = digest, future
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        try:
            answer = await make()
        except BaseException as error:
            self._known.pop((account, key), None)  # what was refused may be tried again
            future.set_exception(error if isinstance(error, Exception) else Problem(503, "busy", "it was given up"))
            future.exception()  # whoever waited has it; nobody has to
            raise
        future.set_result(answer)
        return answer
