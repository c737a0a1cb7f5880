"""Asks the planner: one process, started when it is needed, ended where it takes too long or has done much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from plg.child import python_command
from plg.server.posted import Posted
from plg.server.problems import Problem, fault_of

if TYPE_CHECKING:
    from plg.runs.order import Order

PATIENCE = 10.0
"""Seconds that a document may take to be planned; what takes longer is refused."""
_ANSWERS = 500
"""Answers after which the process is replaced: what it remembers of documents goes with it."""
_LARGEST_ANSWER = 16 * 2**20
_QUEUE = 32
"""Callers that wait at a time; more are told to come again."""


class Planning:
    """Plans orders, one after the other."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._answers = self._waiting = 0

    async def plan(self, posted: Posted) -> dict[str, Any]:
        """What `plg.server.planner` answers. Raises `Problem` with every fault."""
        if self._waiting >= _QUEUE:
            raise Problem(503, "busy", "too many documents are being planned", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._turn:
                answer = await self._ask(posted.order)
        finally:
            self._waiting -= 1
        if "internal" in answer:
            raise Problem(500, "internal-error", str(answer["internal"]))
        if "diagnostics" in answer:
            raise refused(answer["diagnostics"], posted)
        return answer

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def warm(self) -> None:
        """Start the process before somebody waits for it."""
        async with self._turn:
            if self._process is None:
                self._process = await self._start()

    async def _ask(self, order: Order) -> dict[str, Any]:
        if self._process is None or self._process.returncode is not None or self._answers >= _ANSWERS:
            await self.close()
            self._process, self._answers = await self._start(), 0
        self._answers += 1
        process = self._process
        assert process.stdin is not None, "a pipe was asked for"
        assert process.stdout is not None, "a pipe was asked for"
        try:
            async with asyncio.timeout(PATIENCE):
                process.stdin.write(order.to_json().encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, asyncio.CancelledError):
            await self.close()  # its answer would be taken for that of the next one
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            message = f"the document was not planned within {PATIENCE:g} s"
            raise Problem(422, "too-large", message) from None
        except (OSError, ValueError):
            line = b""
        if not line:
            await self.close()
            raise Problem(500, "internal-error", "the process that plans ended without an answer")
        found: dict[str, Any] = json.loads(line)
        return found

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *python_command("plg.server.planner"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, limit=_LARGEST_ANSWER, start_new_session=True,
        )  # fmt: skip


def refused(diagnostics: list[Mapping[str, Any]], posted: Posted) -> Problem:
    """The answer to a document with faults: 403 where a policy says so, else 422."""
    errors = [each for each in diagnostics if each.get("severity") == "error"] or diagnostics
    codes = {str(each["code"]) for each in errors}
    faults = []
    for each in errors:
        fault = fault_of(each, [*posted.at, *each.get("path", ())])
        faults.append(fault if posted.has_lines else {**fault, "line": None, "column": None})
    code = str(errors[0]["code"])
    status = 403 if codes & {"policy-refused"} else 422
    return Problem(status, code, str(errors[0]["message"]), faults=faults)
