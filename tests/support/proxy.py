"""A proxy between plg and a server that breaks what passes through it, on demand and to the byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path

UP, DOWN = "up", "down"
"""Towards the server, and back from it."""


class Proxy:
    """Listens on a port of the loopback interface and passes bytes on to ``upstream``: a port, or the path of a socket.

    Every fault can be switched while connections stand:

    - ``cut_after(direction, n)``: the connection that carries the n-th byte from now is reset, once;
    - ``cut()``: all connections are reset now;
    - ``delay``: seconds that everything from the server waits; ``trickle``: seconds between its single bytes;
    - ``swallow``: what the server says is thrown away; ``blackhole``: nothing passes, in either direction;
    - ``refuse``: new connections are reset at once; ``mute``: new connections are taken and never heard.

    ``passed`` counts the bytes of each direction, ``cuts`` the connections that were reset; ``let_in_at`` says when
    (by the monotonic clock) each connection that was neither refused nor without an upstream was let in.
    """

    def __init__(self, upstream: int | str | Path) -> None:
        self.upstream = upstream
        self.delay = self.trickle = 0.0
        self.swallow = self.blackhole = self.refuse = self.mute = False
        self.passed = {UP: 0, DOWN: 0}
        self.connections = self.cuts = 0
        self.let_in_at: list[float] = []
        self._budget: dict[str, int | None] = {UP: None, DOWN: None}
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._start(self._accept)

    def cut_after(self, direction: str, count: int) -> None:
        with self._lock:
            self._budget[direction] = count

    @property
    def armed(self) -> bool:
        """Whether a cut that was ordered has yet to come."""
        with self._lock:
            return any(budget is not None for budget in self._budget.values())

    def cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self._reset(*pair)

    def heal(self) -> None:
        """No fault any more; connections that were cut stay cut."""
        self.delay = self.trickle = 0.0
        self.swallow = self.blackhole = self.refuse = self.mute = False
        with self._lock:
            self._budget = {UP: None, DOWN: None}

    def close(self) -> None:
        self._closing.set()
        self.heal()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    # -- the threads ------------------------------------------------------------------------------------------------

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads = [*(t for t in self._threads if t.is_alive()), thread]
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            if self.refuse:
                _reset(near)
                continue
            try:
                far = self._dial()
            except OSError:
                _reset(near)
                continue
            pair = (near, far)
            self.let_in_at.append(time.monotonic())
            with self._lock:
                self._pairs.append(pair)
            silent = self.mute
            self._start(self._pump, UP, near, far, silent)
            self._start(self._pump, DOWN, far, near, silent)

    def _dial(self) -> socket.socket:
        if isinstance(self.upstream, int):
            far = socket.create_connection(("127.0.0.1", self.upstream), 5)
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far.settimeout(None)
            return far
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.upstream))
        return far

    def _pump(self, direction: str, source: socket.socket, sink: socket.socket, silent: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                while (self.blackhole or silent) and not self._closing.is_set():
                    time.sleep(0.005)  # a switch that is thrown by assignment wakes nobody
                    source.getpeername()  # raises once the connection was cut
                if direction == DOWN and self.swallow:
                    continue
                if direction == DOWN and self.delay:
                    time.sleep(self.delay)
                data, last = self._within_budget(direction, data)
                self._pass_on(direction, sink, data)
                if last:
                    self.cuts += 1
                    break
            else:
                sink.shutdown(socket.SHUT_WR)
                return
        self._reset(source, sink)

    def _pass_on(self, direction: str, sink: socket.socket, data: bytes) -> None:
        if direction == DOWN and self.trickle:
            for byte in data:
                sink.sendall(bytes([byte]))
                time.sleep(self.trickle)
        else:
            sink.sendall(data)
        self.passed[direction] += len(data)

    def _within_budget(self, direction: str, data: bytes) -> tuple[bytes, bool]:
        with self._lock:
            left = self._budget[direction]
            if left is None:
                return data, False
            if left > len(data):
                self._budget[direction] = left - len(data)
                return data, False
            self._budget[direction] = None
            return data[:left], True

    def _reset(self, *ends: socket.socket) -> None:
        with self._lock:
            self._pairs = [pair for pair in self._pairs if pair[0] not in ends]
        for end in ends:
            _reset(end)


def _reset(end: socket.socket) -> None:
    """Close so that the other side sees a reset rather than an orderly end."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # A thread may be waiting in recv: that alone keeps the kernel from sending the reset. For a unix socket, or one
    # whose reader holds it open, shutting down both ways is the next best.
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RD)
    end.close()
