"""Faults of every kind, one after another, drawn from a seed: at the end the ledger is the server's.

``SOAK_SECONDS`` is how long (30 unless set, in which each kind comes; 60 in ``make soak``), ``SOAK_SEED`` which faults.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest
from support.live import STREAM, Ran, agrees, drive, executed_at, kill, most_in_a_window, revive, seqs_in, totals
from support.proxy import DOWN, UP, Proxy

from plg.scenario import Guardrails

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
RATE, LIMIT, WINDOW = 1500.0, 2000.0, 0.5


class Trouble:
    """A schedule of faults on a server behind a proxy; ``log`` tells what was done and when."""

    def __init__(self, server, proxy: Proxy, seed: int) -> None:
        self._server, self._proxy = server, proxy
        self._dice = random.Random(seed)
        self.log: list[str] = []
        self.kinds: dict[str, Callable[[float], None]] = {
            "reset": self._reset,
            "cut": self._cut,
            "refuse": lambda s: self._switch("refuse", s, cut=True),
            "mute": lambda s: self._switch("mute", s, cut=True),
            "swallow": lambda s: self._switch("swallow", s),
            "blackhole": lambda s: self._switch("blackhole", s),
            "delay": self._delay,
            "trickle": self._trickle,
            "pause": lambda s: self._tell("CLIENT", "PAUSE", int(s * 1000), "ALL"),
            "freeze": self._freeze,
            "full": self._full,
            "restart": self._restart,
            "kick": lambda s: self._tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
        }

    def go_on(self, seconds: float, ended: threading.Event) -> None:
        """Faults for so long: every kind in turn, in an order of the dice, none longer than two seconds."""
        begin, bag = time.monotonic(), []
        while time.monotonic() - begin < seconds - 4 and not ended.is_set():
            bag = bag or self._dice.sample(sorted(self.kinds), len(self.kinds))
            kind, length = bag.pop(), self._dice.uniform(0.05, 2.0)
            self.log.append(f"{time.monotonic() - begin:.2f} s: {kind} for {length:.2f} s")
            self.kinds[kind](length)
            self._proxy.heal()
            ended.wait(self._dice.uniform(0.1, 1.2))

    def _tell(self, *words) -> None:
        self._server.ask(*words)

    def _switch(self, fault: str, seconds: float, *, cut: bool = False) -> None:
        setattr(self._proxy, fault, True)
        if cut:
            self._proxy.cut()
        time.sleep(seconds)

    def _reset(self, seconds: float) -> None:
        self._proxy.cut()

    def _cut(self, seconds: float) -> None:
        for _ in range(5):
            self._proxy.cut_after(self._dice.choice((UP, DOWN)), self._dice.randrange(1, 4000))
            time.sleep(seconds / 5)

    def _delay(self, seconds: float) -> None:
        self._proxy.delay = self._dice.uniform(0.01, 0.3)
        time.sleep(seconds)

    def _trickle(self, seconds: float) -> None:
        self._proxy.trickle = 0.001
        time.sleep(seconds)

    def _freeze(self, seconds: float) -> None:
        os.kill(self._server.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self._server.process.pid, signal.SIGCONT)

    def _full(self, seconds: float) -> None:
        # Shorter than the second after which a target that refuses everything counts as lost.
        self._tell("CONFIG", "SET", "maxmemory", "1")
        time.sleep(min(seconds, 0.5))
        self._tell("CONFIG", "SET", "maxmemory", "0")

    def _restart(self, seconds: float) -> None:
        kill(self._server)
        time.sleep(seconds)
        revive(self._server)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 1.5 + 120)
def test_soak(servers, any_binary, proxied):
    server = servers(any_binary, "--appendonly", "yes")
    proxy = proxied(server)
    trouble, ended = Trouble(server, proxy, SEED), threading.Event()
    thread = threading.Thread(target=trouble.go_on, args=(SECONDS, ended), daemon=True)
    pattern = {"type": "sine", "base_rate": RATE * 0.6, "amplitude": RATE * 0.4, "period": 7, "duration": SECONDS}
    limits = Guardrails(LIMIT, 10**9, 1e6, rate_limit_window=WINDOW)
    try:
        ran = drive(
            proxy.url, pattern, job=STREAM, probe_url=server.url(), limits=limits, answer_timeout=1.0,
            connect_timeout=0.5, give_up_after=15.0, happen=[(0.0, thread.start)],
        )  # fmt: skip
    finally:
        ended.set()
        thread.join(30)
    assert not thread.is_alive()
    _judge(ran, server, trouble.log)


def _judge(ran: Ran, server, log: list[str]) -> None:
    held = seqs_in(server)
    story = "\n".join([*log, totals(ran.recording, len(held))])
    print(story)
    agrees(ran, held)
    assert ran.code in (0, 5), story
    assert ran.total("held") < 0.05 * ran.plan.planned, story
    assert ran.total("acked") > 0.3 * ran.plan.planned, story
    assert most_in_a_window(executed_at(server), WINDOW) <= LIMIT * WINDOW, story
