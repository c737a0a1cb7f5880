"""How plg's own reference workers tell what they did: as any worker does, in the stream of the run."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from contextlib import suppress

from plg.queues.base import Question
from plg.targets.base import TargetError
from plg.targets.client import Client

_PAUSE = 0.05
_KEPT = 100_000
"""Jobs that wait to be told of; of more the oldest are not."""
_BATCH = 500


class Teller(threading.Thread):
    """Tells of jobs whose bytes begin with ``head``, the beginning of the ids of the run, in the stream ``key``."""

    def __init__(self, client: Client, key: str, head: bytes) -> None:
        super().__init__(name="plg-teller", daemon=True)
        self._client, self._key = client, key
        self._number = re.compile(re.escape(head) + rb'(\d+)"')
        self._id = head.partition(b'"id":"')[2]
        self._waiting: deque[tuple[str, float, float, bytes]] = deque(maxlen=_KEPT)
        self._over = threading.Event()

    def tell(self, worker: str, job: bytes, started: float, finished: float) -> None:
        """A worker had this job from ``started`` to ``finished`` (s since the epoch)."""
        found = self._number.match(job)
        if found is not None:
            self._waiting.append((worker, started, finished, found[1]))

    def run(self) -> None:
        while not self._over.wait(_PAUSE):
            self._send()
        self._send()
        self._client.close()

    def stop(self, patience: float) -> None:
        """Tell of the rest."""
        self._over.set()
        self.join(patience)

    def _send(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            now = f"{time.time():.6f}"
            questions: list[Question] = [
                ("XADD", self._key, "NOMKSTREAM", "*", "id", self._id + number, "s", f"{started:.6f}",
                 "f", f"{finished:.6f}", "end", "done", "n", "1", "w", worker, "t", now)
                for worker, started, finished, number in batch
            ]  # fmt: skip
            with suppress(TargetError):
                self._client.ask(questions)
