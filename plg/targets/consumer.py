"""The reference consumer: a process of its own that takes jobs and is busy with each for a set time.

It is started by `plg.targets.worker.ReferenceWorkers`, reads its orders as one line of JSON from standard input,
answers ``ready``, and works until the line ``stop`` comes; then it gives the jobs at hand a moment and prints its
tally. The end of the input without ``stop`` means that plg is gone, and ends it at once. It imports neither numpy nor
anything it could do without: it runs beside the schedule.
"""

from __future__ import annotations

import io
import json
import os
import select
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass
from plg.queues.envelope import ENVELOPE, Place, enqueued_at
from plg.targets.address import Address, parse_address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.cluster import Cluster
from plg.targets.cluster_source import ClusterSource
from plg.targets.gate import Gate
from plg.targets.job_source import Jobs, Source, make_groups
from plg.targets.sentinel import MasterWatch
from plg.targets.telling import Teller

_TIMEOUT = 5.0
_PAUSE = 0.1
_MOST_STALLS = 200
_BEAT = 0.1
"""Seconds between two signs of life."""
_STALL = 0.25
"""A sign of life that comes so many seconds late tells that all consumers stood still."""
_LET_GO = 0.5
"""Seconds that jobs at hand get to be finished once the run has ended."""
_NAP = 3600.0
"""Seconds of one sleep: no system sleeps for any number of days."""
_STACK = 256 * 1024
SIGN = struct.Struct("<dII")
"""A sign of life: its moment by the monotonic clock (s), consumers, and those with a job at hand."""


@dataclass(slots=True)
class Tally:
    """What one consumer did. ``foreign`` counts jobs taken that do not begin as those of the run do, ``waits`` waits by
    bucket of `plg.histogram`; ``trouble`` keeps each complaint once."""

    processed: int = 0
    foreign: int = 0
    waits: dict[int, int] = field(default_factory=dict)
    sum: float = 0.0
    least: float | None = None
    most: float | None = None
    trouble: dict[str, int] = field(default_factory=dict)

    def wait(self, seconds: float) -> None:
        bucket = bucket_of(seconds)
        self.waits[bucket] = self.waits.get(bucket, 0) + 1
        self.sum += seconds
        self.least = seconds if self.least is None else min(self.least, seconds)
        self.most = seconds if self.most is None else max(self.most, seconds)

    def complain(self, words: str) -> None:
        if words in self.trouble or len(self.trouble) < 5:
            self.trouble[words] = self.trouble.get(words, 0) + 1


def bucket_of(seconds: float) -> int:
    """`plg.histogram.bucket_of` for one value, without numpy."""
    bits: int = struct.unpack("<q", struct.pack("<d", seconds / 32e-6 + 1.0))[0]
    return min((bits >> 45) - (1023 << 7), 4095)


class Consumer(threading.Thread):
    """One consumer with a connection of its own.

    Jobs follow each other on an absolute schedule: one is finished ``each`` seconds after the one before it, where it
    waited already, so that neither the round trip nor a late wake adds to the time a job takes. N consumers thus finish
    at most N / each jobs a second, and no fewer while jobs wait and the machine keeps up.
    """

    def __init__(
        self,
        name: str,
        source: Jobs,
        each: float,
        places: Sequence[Place] = (ENVELOPE,),
        head: bytes = b"",
        teller: Teller | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.tally = Tally()
        self.stopping = threading.Event()
        self._each = each
        self._source = source
        self._places = places
        self._head, self._teller = head, teller
        # A job taken this soon after the last was finished had waited for us: our own overhead, not its arrival.
        self._overhead = min(0.002, each / 4)
        self._free_since = 0.0
        self.busy = False
        """Whether a job is at hand."""

    def open(self) -> None:
        """Connects, and sees that the server answers. Raises `TargetError`."""
        self._source.open()

    def run(self) -> None:
        while not self.stopping.is_set() or self._source.holds_more:
            try:
                taken = self._source.take()
                if taken is not None:
                    self._work(*taken)
            except TargetError as error:
                self.tally.complain(str(error))
                self.stopping.wait(_PAUSE)
        self._source.close()

    def _work(self, job: bytes, receipt: tuple[str, bytes] | None) -> None:
        now, wall = time.monotonic(), time.time()
        self.tally.foreign += not job.startswith(self._head)
        stamp = enqueued_at(job, wall, self._places)
        if stamp is not None:
            self.tally.wait(max(0.0, wall - stamp))
        self.busy = True
        end = max(self._free_since, now - self._overhead) + self._each
        while (remaining := end - time.monotonic()) > 0:
            time.sleep(min(remaining, _NAP))
        self._free_since = end
        self.tally.processed += 1
        self.busy = False
        if self._teller is not None:
            self._teller.tell(self.name, job, wall, time.time())
        if receipt is not None:
            self._source.acknowledge(*receipt)


def _report(consumers: Sequence[Consumer]) -> Mapping[str, Any]:
    tallies = [consumer.tally for consumer in consumers]
    waits: dict[int, int] = {}
    trouble: dict[str, int] = {}
    for tally in tallies:
        for bucket, count in tally.waits.items():
            waits[bucket] = waits.get(bucket, 0) + count
        for words, count in tally.trouble.items():
            trouble[words] = trouble.get(words, 0) + count
    return {
        "processed": sum(tally.processed for tally in tallies),
        "foreign": sum(tally.foreign for tally in tallies),
        "waits": sorted(waits.items()),
        "sum": sum(tally.sum for tally in tallies),
        "min": min((tally.least for tally in tallies if tally.least is not None), default=None),
        "max": max((tally.most for tally in tallies if tally.most is not None), default=None),
        "trouble": sorted(trouble.items()),
        "let_go": sum(consumer.busy for consumer in consumers),
    }


class Pulse:
    """Signs of life in a file that plg reads, each with how many consumers there are and how many of them have a job at
    hand (`SIGN`), and the stalls that this process found in its own: start and end (s) by
    the monotonic clock, which all processes of a machine share. Of very many the longest are kept."""

    def __init__(self, file: int, consumers: Sequence[Consumer]) -> None:
        self._file, self._consumers = file, consumers
        self._last = time.monotonic()
        self.stalls: list[tuple[float, float]] = []

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._last > _BEAT + _STALL:
            self.stalls.append((self._last, now))
            if len(self.stalls) > _MOST_STALLS:
                self.stalls.remove(min(self.stalls, key=lambda stall: stall[1] - stall[0]))
        self._last = now
        alive = [consumer for consumer in self._consumers if consumer.is_alive()]
        os.pwrite(self._file, SIGN.pack(now, len(alive), sum(consumer.busy for consumer in alive)), 0)


def _await_stop(parent: int, pulse: Pulse) -> None:
    """Returns at the line ``stop``; ends the process when plg is gone without having said it."""
    while True:
        ready, _, _ = select.select([0], [], [], _BEAT)
        pulse.beat()
        if ready:
            said = os.read(0, 64)
            if said.strip() == b"stop":
                return
            if not said:
                os._exit(1)
        if os.getppid() != parent:
            os._exit(1)


def _address(orders: Mapping[str, Any]) -> Address:
    gate = None if orders["gate"] is None else Gate.from_document(orders["gate"])
    address = parse_address(orders["url"], gate)
    MasterWatch(address).start()  # it ends with this process
    return address


def _sources(orders: Mapping[str, Any], address: Address) -> Callable[[str], Jobs]:
    """Makes a source for each consumer, by its name; the groups of the streams are there when this returns."""
    queues = [(key, kind) for key, kind in orders["queues"]]

    def client(of: Address) -> Client:
        return Client(of, connect_timeout=_TIMEOUT, answer_timeout=_TIMEOUT)

    first = client(address)
    try:
        cluster = Cluster.found_by(first, [key for key, _ in queues]) if orders["cluster"] else None
        if cluster is None:
            make_groups(first, [key for key, kind in queues if kind == "group"], orders["begin"])
    finally:
        first.close()
    if cluster is None:
        return lambda name: Source(name, client(address), queues, orders["count"])
    found = cluster
    return lambda name: ClusterSource(name, found, queues, orders["count"], client, orders["begin"])


def _teller(orders: Mapping[str, Any], address: Address) -> Teller | None:
    """Who tells plg what the consumers did, where a line of the scenario asks for it."""
    if orders.get("tell") is None:
        return None
    client = Client(address, connect_timeout=_TIMEOUT, answer_timeout=_TIMEOUT)
    if orders["cluster"]:
        cluster = Cluster.found_by(client, [orders["tell"]])
        place = None if cluster is None else cluster.holder(orders["tell"])
        client.close()
        if place is None:
            return None
        client = Client(place, connect_timeout=_TIMEOUT, answer_timeout=_TIMEOUT)
    return Teller(client, orders["tell"], orders["head"].encode())


def _start(orders: Mapping[str, Any], address: Address, teller: Teller | None) -> list[Consumer]:
    source = _sources(orders, address)
    threading.stack_size(_STACK)  # there may be hundreds of consumers, none of which goes deep
    names = [f"plg-{os.getpid()}-{i}" for i in range(orders["count"])]
    places = [tuple(place) for place in orders["places"]]
    head = (orders["head"] or "").encode()
    consumers = [Consumer(name, source(name), orders["each"], places, head, teller) for name in names]
    for consumer in consumers:
        consumer.open()
    return consumers


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """See the top of the file. ``parent`` is in the orders, as plg may be gone before this line runs."""
    orders = json.loads(io.FileIO(0, closefd=False).readline())  # unbuffered: select must see what follows
    try:
        address = _address(orders)
        teller = _teller(orders, address)
        consumers = _start(orders, address, teller)
    except TargetError as error:
        _say({"error": str(error), "kind": error.kind})
        return
    if teller is not None:
        teller.start()
    for consumer in consumers:
        consumer.start()
    pulse = Pulse(orders["pulse"], consumers)
    pulse.beat()
    _say("ready")
    _await_stop(orders["parent"], pulse)
    for consumer in consumers:
        consumer.stopping.set()
    # A job at hand may take days: who is not done soon is let go, and its job does not count as processed.
    until = time.monotonic() + _LET_GO
    for consumer in consumers:
        consumer.join(max(0.0, until - time.monotonic()))
    if teller is not None:
        teller.stop(_LET_GO)
    _say({**_report(consumers), "stalls": pulse.stalls})
