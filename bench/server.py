"""The private server that every contest loads, and two ways to look at it without disturbing what is measured."""

from __future__ import annotations

import math
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plg.targets.binary import find_binary

QUEUE = "plg:bench"
"""The list that every tool pushes to where the tool lets one choose."""

_LOOKS = 8
_LOOK_APART = 0.00025
"""Looks at the queue's length that make one moment, and seconds between two of them: together two milliseconds."""
_COUNT = b"local t = redis.call('TIME') return t[1] .. ' ' .. t[2] .. ' ' .. redis.call('LLEN', KEYS[1])"


@dataclass(frozen=True)
class Server:
    """A server on a unix socket, without persistence; on a ``port`` of the loopback too where one was asked for."""

    socket_path: Path
    pid: int
    version: str
    port: int = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.socket_path}"

    def cpu_s(self) -> float:
        """Processor seconds the server's main thread has used, from ``/proc``; NaN where there is none."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9
        except OSError:
            return math.nan

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.socket_path))
        return connection

    def ask(self, *words: bytes) -> bytes:
        """The raw answer to one command whose answer is short."""
        with self.connect() as connection:
            connection.sendall(command(*words))
            return connection.recv(4096)

    def length(self) -> int:
        """How many jobs are in the queue."""
        return int(self.ask(b"LLEN", QUEUE.encode())[1:])

    def empty(self) -> None:
        """Forget every job: what one tool left behind must not slow the next."""
        self.ask(b"FLUSHALL", b"SYNC")


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def machine() -> dict[str, Any]:
    """What a page of figures says of the machine that they come from."""
    cpu = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu or platform.processor() or "unknown",
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def command(*words: bytes) -> bytes:
    """One command in the protocol's own form."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


@contextmanager
def private_server(port: int = 0) -> Iterator[Server]:
    """A fresh server that ends with the block: redis-server where there is one, else what plg would embed.

    With a ``port`` it listens there too, for clients that know no unix socket.

    Raises `TargetError` where there is none.
    """
    program = shutil.which("redis-server") or str(find_binary())
    folder = Path(tempfile.mkdtemp(prefix="plg-bench-"))
    path = folder / "s"
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(path), "--save", "",
         "--appendonly", "no", "--dir", str(folder), "--client-output-buffer-limit", "normal 0 0 0"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(500):
            if path.exists():
                break
            time.sleep(0.01)  # it tells nobody when it is ready, so one looks again
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        yield Server(path, process.pid, version.split(" sha")[0].strip(), port)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Monitor:
    """Every push with the microsecond at which the server executed it, by the server's own MONITOR.

    The text is only gathered while the load runs, a hundred times a second, and read afterwards.
    """

    server: Server
    _parts: list[bytes] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Monitor:
        self._socket = self.server.connect()
        self._socket.sendall(command(b"MONITOR"))
        self._socket.recv(64)
        self._socket.setblocking(False)
        self._thread = threading.Thread(target=self._gather, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.05)  # the last lines are still on their way
        self._done.set()
        self._thread.join()
        self._socket.close()

    def text(self) -> bytes:
        return b"".join(self._parts)

    def _gather(self) -> None:
        last = False
        while not last:
            last = self._done.is_set()
            try:
                while part := self._socket.recv(1 << 20):
                    self._parts.append(part)
            except BlockingIOError:
                time.sleep(0.01)  # to wake for every line would take the processor from what is measured


@dataclass
class Counter:
    """The length of the queue at moments 100 ms apart, both read by the server in one step.

    A sender that writes once a millisecond makes the length a staircase, so each moment is the mean of a few looks
    spread over two milliseconds. Costs the server less than a thousandth of its time.
    """

    server: Server
    every: float = 0.1
    moments: list[tuple[float, float]] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Counter:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        asking = command(b"EVAL", _COUNT, b"1", QUEUE.encode())
        with self.server.connect() as connection:
            while not self._done.wait(self.every - time.time() % self.every):
                looks = []
                for _ in range(_LOOKS):
                    connection.sendall(asking)
                    words = connection.recv(256).split(b"\r\n")[1].split()
                    looks.append((int(words[0]) + int(words[1]) / 1e6, int(words[2])))
                    time.sleep(_LOOK_APART)  # spread over two wake-ups of a sender, or one step would count as the rate
                at, length = (sum(column) / _LOOKS for column in zip(*looks, strict=True))
                self.moments.append((at, length))
