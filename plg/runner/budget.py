"""Who may send how many jobs in all: a generator by itself, or several that share one limit and their stops."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import replace

from plg.runner.observer import Hooks
from plg.stop import Stop
from plg.targets.base import TargetError
from plg.targets.shared_limit import CounterLost, SharedLimit

_AHEAD = 0.25
"""Seconds of the run's peak for which jobs are granted before they are needed."""
_RETRY = 0.1
_EXCHANGE = 0.2
"""Seconds between two looks at what the other shards say."""
PATIENCE = 15.0
"""Seconds without an answer of the shared counter before the run ends for it."""


class Budget:
    """How many jobs may be sent in all: the whole limit in one hand.

    ``trouble`` tells why it is not known how many are left, which ends the run; None as long as it is known.
    """

    def __init__(self, limit: int) -> None:
        self._granted = limit
        self.trouble: str | None = None

    def left(self, sent: int) -> int:
        """How many more jobs may leave now that ``sent`` have."""
        return self._granted - sent

    def exhausted(self, sent: int) -> bool:
        """Whether none will ever be left again."""
        return sent >= self._granted


class SharedBudget(Budget):
    """Jobs granted by a shared counter in small blocks, ahead of their use and in a thread beside the schedule.

    ``rate`` is the largest rate (jobs/s) at which they will be used. Blocks get smaller as the limit comes near, so
    that no shard holds many while others have none. By the same way shards tell each other of their stops and of what
    they have counted.
    """

    def __init__(self, shared: SharedLimit, rate: float) -> None:
        super().__init__(0)
        self._shared = shared
        self._block = max(1, min(4096, int(rate * _AHEAD)))
        self._sent = 0
        self._open: int | None = None
        self._none_left = self._stopped = False
        self._wanted = threading.Event()
        self.joined = self.complete = 0.0
        """When this shard joined the others, and when all had, on the monotonic clock."""
        self._own_stop: Stop | None = None
        self._told = False
        self.counted: dict[str, float] = {}
        """What this shard has counted so far, by name."""
        self.others: dict[str, float] = {}
        """What the other shards have counted, as far as they have told; each sum by name."""
        self.stopped: Stop | None = None
        """The stop that another shard told of."""
        self._thread = threading.Thread(target=self._run, name="plg-budget", daemon=True)

    def start(self, lasting: float) -> None:
        """Join the others, wait for all of them and take the first block. Raises `TargetError`."""
        self._shared.begin(lasting)
        self.joined = time.monotonic()
        self._shared.await_others()
        self.complete = time.monotonic()
        self._claim()
        self._thread.start()

    def left(self, sent: int) -> int:
        self._sent = sent
        left = super().left(sent)
        if left <= self._block // 2 and not self._none_left:
            self._wanted.set()
        return left

    def exhausted(self, sent: int) -> bool:
        return self._none_left and super().exhausted(sent)

    def among_shards(self, hooks: Hooks) -> Hooks:
        """The hooks of a shard: the stop of another one ends it too, and its own is told to the others.

        That all jobs of max_total_jobs are taken is not told: another shard may have some in hand that it still sends,
        and ends by itself once they are gone, so that the limit is used to the job.
        """

        def stopped(stop: Stop) -> None:
            hooks.stopped(stop)
            if stop != Stop("guardrail", "max_total_jobs"):
                self.tell(stop)

        return replace(hooks, interrupted=lambda: hooks.interrupted() or self.stopped, stopped=stopped)

    def tell(self, stop: Stop) -> None:
        """This shard ends before its plan does: the others are to end too. Returns at once."""
        self._own_stop = stop
        self._wanted.set()

    def stop(self, sent: int | None = None) -> None:
        """Leave; where it is known how many jobs were ``sent``, return what is left over."""
        self._stopped = True
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        try:
            self._tell()
            self._shared.end(0 if sent is None else self._granted - sent)
        except TargetError:
            pass  # the key expires by itself, and jobs that are not sent exceed no limit
        finally:
            self._shared.close()

    def _run(self) -> None:
        failing: float | None = None
        while not self._stopped and self.trouble is None:
            self._wanted.wait(_EXCHANGE)
            self._wanted.clear()
            try:
                self._tell()
                self._exchange()
                while not self._stopped and not self._none_left and self._granted - self._sent <= self._block // 2:
                    self._claim()
                failing = None
            except CounterLost as error:
                self.trouble = str(error)
            except TargetError as error:
                # What may have been taken without an answer is lost to all: rather too few jobs than too many.
                now = time.monotonic()
                failing = now if failing is None else failing
                if now - failing > PATIENCE:
                    self.trouble = f"{self._shared.key} could not be asked for {PATIENCE:g} s: {error}"
                time.sleep(_RETRY)
                self._wanted.set()

    def _tell(self) -> None:
        stop = self._own_stop
        if stop is not None and not self._told and self.stopped is None:
            by = stop.by or f"shard {self._shared.part} of {self._shared.of}"
            self._shared.tell_stop(json.dumps([stop.name, stop.detail, by]))
            self._told = True

    def _exchange(self) -> None:
        stop, parts = self._shared.exchange(json.dumps(self.counted))
        if stop and self._own_stop is None:
            self.stopped = Stop(*json.loads(stop))
        sums: Counter[str] = Counter()
        for part in parts:
            sums.update(json.loads(part) if part else {})
        self.others = dict(sums)

    def _claim(self) -> None:
        asked = self._block
        if self._open is not None:
            asked = max(1, min(asked, self._open // (2 * self._shared.of)))
        granted, self._open = self._shared.claim(asked)
        self._granted += granted
        self._none_left = granted < asked
