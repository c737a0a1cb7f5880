"""Draws the artifacts of a test that is over, each once and in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from plg.child import python_command
from plg.server.problems import Problem
from plg.server.records import OUTCOME

ARTIFACTS = {
    "report.html": ("html", "text/html; charset=utf-8"),
    "junit.xml": ("junit", "application/xml"),
    "outcome.json": ("json", "application/json"),
    "scenario.yaml": ("yaml", "application/yaml"),
}
"""The report that makes each, by `plg.reports.registry`, and its type."""
PATIENCE = 60.0


def main() -> int:
    """Make one report: ``sys.argv`` has its name, the outcome's file and the file to write."""
    from plg.outcome_io import read_outcome
    from plg.reports.registry import REPORTS

    os.nice(10)  # what is drawn takes nothing from the tests that run
    os.environ.pop("GITHUB_WORKSPACE", None)
    name, outcome, into = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    made = REPORTS[name].make([read_outcome(outcome)])
    draft = into.with_name(f"{into.name}.draft")
    draft.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8"))
    draft.replace(into)
    return 0


class Rendering:
    """Makes artifacts, one at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def artifact(self, folder: Path, name: str) -> Path:
        """The file of an artifact. Raises `Problem` where there is none."""
        outcome, into = folder / OUTCOME, folder / name
        if not outcome.is_file():
            raise Problem(404, "no-outcome", "the test came to no outcome, so nothing can be drawn")
        if name == OUTCOME or into.is_file():
            return into
        async with self._turn:
            if not into.is_file():
                await self._make(ARTIFACTS[name][0], outcome, into)
        return into

    async def _make(self, report: str, outcome: Path, into: Path) -> None:
        process = await asyncio.create_subprocess_exec(
            *python_command("plg.server.rendering", [report, str(outcome), str(into)]),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE):
                code = await process.wait()
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()
            raise Problem(503, "busy", f"it was not drawn within {PATIENCE:g} s") from None
        if code != 0:
            raise Problem(500, "internal-error", f"{into.name} could not be drawn")
