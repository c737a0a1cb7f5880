"""The reference consumer: a process of its own that takes jobs and is busy with each for a set time.

It is started by `plg.targets.worker.ReferenceWorkers`, reads its orders as one line of JSON from standard input,
answers ``ready``, and works until the line ``stop`` comes; then it finishes the jobs at hand and prints its tally. The
end of the input without ``stop`` means that plg is gone, and ends it at once. It imports neither numpy nor anything it
could do without: it runs beside the schedule.
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
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from plg.targets.address import parse_address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import own_words
from plg.targets.stamp import enqueued_at

GROUP = "plg"
"""The consumer group that streams are read with."""
_TIMEOUT = 5.0
_BLOCK = 0.1
"""Seconds that one of up to ten consumers waits at empty queues before it looks whether it should stop."""
_GLANCE = 0.01
"""The same where lists and streams are both watched: one cannot wait for both at once."""
_LONGEST_BLOCK = 1.0
_PAUSE = 0.1
_WATCH = 0.5
_STACK = 256 * 1024


@dataclass(slots=True)
class Tally:
    """What one consumer did. ``waits`` counts by bucket of `plg.histogram`; ``trouble`` keeps each complaint once."""

    processed: int = 0
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
        self, name: str, client: Client, queues: Sequence[tuple[str, str]], each: float, peers: int = 1
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.tally = Tally()
        self.stopping = threading.Event()
        self._client = client
        self._each = each
        self._source = _Source(name, client, queues, peers)
        # A job taken this soon after the last was finished had waited for us: our own overhead, not its arrival.
        self._overhead = min(0.002, each / 4)
        self._free_since = 0.0

    def open(self) -> None:
        """Connects, and sees that the server answers. Raises `TargetError`."""
        self._client.ask([("PING",)])

    def run(self) -> None:
        while not self.stopping.is_set() or self._source.holds_more:
            try:
                taken = self._source.take()
                if taken is not None:
                    self._work(*taken)
            except TargetError as error:
                self.tally.complain(str(error))
                self.stopping.wait(_PAUSE)
        self._client.close()

    def _work(self, job: bytes, receipt: tuple[str, bytes] | None) -> None:
        now, wall = time.monotonic(), time.time()
        stamp = enqueued_at(job, wall)
        if stamp is not None:
            self.tally.wait(max(0.0, wall - stamp))
        end = max(self._free_since, now - self._overhead) + self._each
        while (remaining := end - time.monotonic()) > 0:
            time.sleep(remaining)
        self._free_since = end
        self.tally.processed += 1
        if receipt is not None:
            self._source.acknowledge(*receipt)


class _Source:
    """Takes the next job from any of the queues, in turn, so that none of them starves."""

    def __init__(self, name: str, client: Client, queues: Sequence[tuple[str, str]], peers: int) -> None:
        self._name = name
        self._client = client
        self._lists = [key for key, kind in queues if kind == "list"]
        self._streams = [key for key, kind in queues if kind == "stream"]
        # The more there are, the longer each waits: together they ask an idle server about as often as ten would.
        self._block = min(_LONGEST_BLOCK, _BLOCK * max(1.0, peers / 10))
        self._glance = min(_BLOCK, _GLANCE * max(1.0, peers / 10))
        self._turn = 0
        self._streams_first = False
        self._held: deque[tuple[bytes, tuple[str, bytes]]] = deque()

    @property
    def holds_more(self) -> bool:
        """Whether entries were delivered to this consumer that it has yet to work on."""
        return bool(self._held)

    def take(self) -> tuple[bytes, tuple[str, bytes] | None] | None:
        """A job and, for a stream, what acknowledges it; None when nothing came in a while."""
        if self._held:
            return self._held.popleft()
        if not self._streams:
            return self._from_lists(self._block)
        if not self._lists:
            return self._from_streams(self._block)
        self._streams_first = not self._streams_first
        if self._streams_first or not self._lists_hold_jobs():
            taken = self._from_streams(None)
            if taken is not None:
                return taken
        return self._from_lists(self._glance)

    def _lists_hold_jobs(self) -> bool:
        return any(length != 0 for length in self._client.ask([("LLEN", key) for key in self._lists]))

    def _from_lists(self, block: float) -> tuple[bytes, None] | None:
        self._turn += 1
        first = self._turn % len(self._lists)  # BRPOP serves the first of its keys that holds something
        answer = self._ask("BRPOP", *self._lists[first:], *self._lists[:first], block)
        return (answer[1], None) if answer else None

    def _from_streams(self, block: float | None) -> tuple[bytes, tuple[str, bytes]] | None:
        """One read may bring an entry from each stream: those beyond the first are held for the next calls."""
        answer = self._ask(
            "XREADGROUP", "GROUP", GROUP, self._name, "COUNT", 1, *(("BLOCK", round(block * 1e3)) if block else ()),
            "STREAMS", *self._streams, *[">"] * len(self._streams),
        )  # fmt: skip
        for key, entries in answer or ():
            self._held += [(_job_in(fields), (key.decode(), entry)) for entry, fields in entries]
        return self._held.popleft() if self._held else None

    def acknowledge(self, key: str, entry: bytes) -> None:
        self._ask("XACK", key, GROUP, entry)

    def _ask(self, *command: Any) -> Any:
        [answer] = self._client.ask([command])
        if not isinstance(answer, Exception):
            return answer
        words = own_words(answer)
        if words.startswith("NOGROUP"):  # the stream was deleted, and its group with it
            make_groups(self._client, self._streams)
            return None
        raise TargetError("refused", f"the consumers' {command[0]} was refused: {words}")


def make_groups(client: Client, streams: Sequence[str]) -> None:
    """Makes the consumers' group on each stream, from its first entry on; one that is there already stays as it is."""
    for key in streams:
        [answer] = client.ask([("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM")])
        words = own_words(answer) if isinstance(answer, Exception) else ""
        if words and "BUSYGROUP" not in words:
            raise TargetError("refused", f"the consumers cannot read the stream {key!r}: {words}")


def _job_in(fields: Sequence[bytes] | None) -> bytes:
    """The job among the fields of a stream's entry: the value of the first, as plg writes only one."""
    return fields[1] if fields else b""


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
        "waits": sorted(waits.items()),
        "sum": sum(tally.sum for tally in tallies),
        "min": min((tally.least for tally in tallies if tally.least is not None), default=None),
        "max": max((tally.most for tally in tallies if tally.most is not None), default=None),
        "trouble": sorted(trouble.items()),
    }


def _await_stop(parent: int) -> None:
    """Returns at the line ``stop``; ends the process when plg is gone without having said it."""
    while True:
        ready, _, _ = select.select([0], [], [], _WATCH)
        if ready:
            said = os.read(0, 64)
            if said.strip() == b"stop":
                return
            if not said:
                os._exit(1)
        if os.getppid() != parent:
            os._exit(1)


def _start(orders: Mapping[str, Any]) -> list[Consumer]:
    address = parse_address(orders["url"])
    queues = [(key, kind) for key, kind in orders["queues"]]

    def client() -> Client:
        return Client(address, connect_timeout=_TIMEOUT, answer_timeout=_TIMEOUT)

    first = client()
    make_groups(first, [key for key, kind in queues if kind == "stream"])
    first.close()
    threading.stack_size(_STACK)  # there may be hundreds of consumers, none of which goes deep
    each, count = orders["each"], orders["count"]
    consumers = [Consumer(f"plg-{os.getpid()}-{i}", client(), queues, each, count) for i in range(count)]
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
        consumers = _start(orders)
    except TargetError as error:
        _say({"error": str(error), "kind": error.kind})
        return
    for consumer in consumers:
        consumer.start()
    _say("ready")
    _await_stop(orders["parent"])
    for consumer in consumers:
        consumer.stopping.set()
    for consumer in consumers:
        consumer.join()
    _say(_report(consumers))


if __name__ == "__main__":
    main()
