"""Whether this machine keeps time, as tests that drive real runs need it."""

from __future__ import annotations

import threading
import time

TOO_LATE = 0.03
"""A sleeper that is woken so much too late (s) is one of a machine that cannot keep time."""
late_runs: list[str] = []
"""What plg said of the runs of this test that were INVALID, or had lines without a verdict, by its own lateness."""


class Sleeper:
    """Sleeps ten milliseconds at a time and remembers by how much it was woken too late (s)."""

    def __init__(self) -> None:
        self.latest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sleeper", daemon=True)

    def __enter__(self) -> Sleeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            begin = time.monotonic()
            time.sleep(0.01)
            self.latest = max(self.latest, time.monotonic() - begin - 0.01)


def wait_for_calm(calm: float = 1.5, at_most: float = 30.0) -> None:
    """Return once the machine has kept time for ``calm`` seconds on end, or after ``at_most`` seconds."""
    deadline = time.monotonic() + at_most
    while time.monotonic() < deadline:
        with Sleeper() as sleeper:
            begin = time.monotonic()
            while sleeper.latest < TOO_LATE and time.monotonic() - begin < calm:
                time.sleep(0.05)
        if sleeper.latest < TOO_LATE:
            return
