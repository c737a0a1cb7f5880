"""``local:4``: the shards of a run in processes of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plg.runs.process import ProcessLauncher
from plg.runs.sharded import Crew, Seat, Sharded, shards_in


def launcher(text: str) -> Sharded:
    """The launcher behind ``local:``; ``text`` is the number of shards. Raises `ScenarioError`."""
    shards = shards_in(text, "local:4")

    @contextmanager
    def gather() -> Iterator[Crew]:
        with tempfile.TemporaryDirectory(prefix="plg-local-") as folder:
            processes = ProcessLauncher(Path(folder))
            yield Crew([Seat(f"process {number + 1}", processes) for number in range(shards)], lead=1.0)

    return Sharded(gather)
