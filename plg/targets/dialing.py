"""How a connection comes about: a name is looked up, each address that it comes to is judged, and one of them is
connected to, all within one deadline."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.hosts import Door


class Deadline:
    """The moment by which an exchange must be over, however many pieces its answer comes in."""

    def __init__(self) -> None:
        self._until = self._most = math.inf

    def set(self, seconds: float) -> None:
        """The next exchange gets so many seconds, within what `limit` leaves."""
        self._until = min(time.monotonic() + seconds, self._most)

    def limit(self, seconds: float) -> None:
        """All exchanges from now on together get so many seconds."""
        self._most = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether no exchange has any time left."""
        return time.monotonic() >= self._most

    def left(self, wanted: float | None = None) -> float:
        """Seconds that a wait may take of the ``wanted`` ones. Raises `TimeoutError` where none is left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left if wanted is None else min(left, wanted)


class Bounded:
    """A socket whose waits end at a deadline: each of them, and not only the time between two bytes."""

    def __init__(self, whole: socket.socket, deadline: Deadline) -> None:
        self.whole, self._deadline = whole, deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def recv(self, *arguments: Any) -> bytes:
        with self._bounded():
            return self.whole.recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        with self._bounded():
            return self.whole.recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        with self._bounded():
            self.whole.sendall(*arguments)

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        wanted = self.whole.gettimeout()
        if wanted == 0:
            yield  # it does not wait
            return
        self.whole.settimeout(self._deadline.left(wanted))
        try:
            yield
        finally:
            self.whole.settimeout(wanted)


def dial(host: str, port: int, address: Address, deadline: Deadline) -> socket.socket:
    """A connection to the first address of ``host`` that takes one; its timeout is what the deadline leaves.

    The gate of ``address`` judges every address of the name before any of them is connected to: which one it would be
    is chance, and another one may be next. Raises `TargetError` where it refuses one, and what the system raises.
    """
    places = look_up(host, port, deadline.left())
    ask_gate(host, [str(place[0]) for *_, place in places], address, port)
    trouble: OSError | None = None
    for count, (family, kind, protocol, _, place) in enumerate(places):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # An address that swallows everything leaves time for those after it.
            sock.settimeout(deadline.left() / (len(places) - count))
            sock.connect(place)
            sock.settimeout(deadline.left())
        except OSError as error:
            trouble = error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise trouble or OSError("the name of the host has no address")


def ask_gate(host: str, found: Iterable[str], address: Address, port: int | None = None) -> None:
    """Raises `TargetError` where the gate of an address lets nobody in to a ``host`` at one of the places ``found``;
    a unix socket has no ``port``."""
    if address.gate is None:
        return
    door = Door(port, Door.of(address.options).database)
    for place in found:
        refusal = address.gate.refusal(host, place, door)
        if refusal:
            raise TargetError("forbidden", f"{address.shown}: {refusal}")


Place = tuple[int, int, int, str, Any]
"""Family, type, protocol, canonical name and socket address, as `socket.getaddrinfo` tells them."""


def look_up(host: str, port: int, seconds: float) -> list[Place]:
    """The addresses of a host. The system's own patience with names can be a minute, so it is asked in a thread.

    Raises `socket.gaierror` where there are none, or none was found in so many ``seconds``.
    """
    with suppress(OSError, ValueError):
        return _addresses(host, port, socket.AI_NUMERICHOST)  # an address, which nobody has to be asked for
    found: list[list[Place]] = []
    fault: list[OSError] = []
    done = threading.Event()

    def ask() -> None:
        try:
            found.append(_addresses(host, port, 0))
        except OSError as error:
            fault.append(error)
        except ValueError:  # a label that is too long, a NUL: nobody was asked
            fault.append(socket.gaierror(socket.EAI_NONAME, "no host can have this name"))
        done.set()

    threading.Thread(target=ask, name="plg-look-up", daemon=True).start()
    if not done.wait(seconds):
        raise socket.gaierror(socket.EAI_AGAIN, "the name was not found in time")
    if fault:
        raise fault[0]
    return found[0]


def _addresses(host: str, port: int, flags: int) -> list[Place]:
    return [(*found,) for found in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)]
