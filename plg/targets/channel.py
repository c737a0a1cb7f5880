"""One raw connection driven without blocking: what the schedule writes to and reads answers from."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol, Self

from plg.clock import Clock
from plg.targets.encoding import Piece
from plg.targets.faults import NOT_REDIS, own_words
from plg.targets.replies import ProtocolError, Reply, ReplyReader

_SIP, _READ = 470, 1 << 16
"""Bytes read at first, and once there were so many. Nearly always there are few, and room for many is costly."""
_GATHERED = 64
"""The system takes a number of pieces at once; where there are more than so many, each is small."""
_FULL = 0.005
"""Seconds for which nothing but room to write is waited for."""


class ChannelLost(Exception):
    """The connection is gone; what was in flight will never be answered."""


class Channel(Protocol):
    """What a transport needs of a connection; tests drive it on a virtual clock."""

    @property
    def backlog(self) -> int:
        """Bytes handed to `send` that the connection has not taken yet; nothing more is sent while it is not 0."""

    def send(self, data: bytes) -> bool:
        """Hand over whole commands; True when the connection has taken all there was. Never blocks.

        A loss may show here (`ChannelLost`) or at the next `receive`.
        """

    def gather(self, pieces: Sequence[Piece]) -> bool:
        """`send` for data in pieces, which may be written over when this returns."""

    def receive(self) -> list[Reply]:
        """Answers that have arrived, in order. Never blocks. Raises `ChannelLost`."""

    def wait(self, deadline: float, *, answers: bool = True, others: Sequence[Self] = ()) -> None:
        """Return at ``deadline`` (the clock's scale); earlier when there is room to write or, if wanted, an answer, on
        this connection or one of ``others``."""

    def close(self) -> None: ...


def _wait_any(wires: Sequence[SocketChannel], clock: Clock, deadline: float, *, answers: bool) -> None:
    """Wait for several wires at once, as `Channel.wait` does for one."""
    blocked = [wire.sock for wire in wires if wire.backlog]
    remaining = deadline - clock.now()
    if blocked and remaining > 0:
        # A server that is kept busy answers piece by piece. To wake for each piece would cost both sides more than the
        # jobs do, so answers are read when there is room again. A moment later they are read in any case: who waits
        # for them to be read may not take more before.
        select.select([], blocked, [], min(remaining, _FULL))
    elif not answers:
        clock.sleep_until(deadline)
    elif remaining > 0 and not any(wire.has_unread for wire in wires):
        # select keeps microseconds; epoll and asyncio round a timeout up to a whole millisecond.
        select.select([wire.sock for wire in wires], [], [], remaining)


class SocketChannel:
    """A `Channel` over a connected socket, plain or TLS."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._clock = clock
        self._unsent = memoryview(b"")
        self._reader = ReplyReader()
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._fault: ChannelLost | None = None
        self._heard_all = False

    @property
    def backlog(self) -> int:
        return len(self._unsent)

    def send(self, data: bytes) -> bool:
        if self._unsent:
            self._unsent = memoryview(bytes(self._unsent) + data)
            return self._flush()
        # Nearly every batch is taken whole, and then nothing more is to be done.
        try:
            taken = self.sock.send(data)
        except OSError:
            taken = 0
        if taken == len(data):
            return True
        self._unsent = memoryview(data)[taken:]
        return self._flush()

    def gather(self, pieces: Sequence[Piece]) -> bool:
        if self._unsent or self._tls or not 1 < len(pieces) <= _GATHERED:
            return self.send(b"".join(pieces))
        # Jobs at a high rate are copied once, by the system, and not before.
        try:
            taken = self.sock.sendmsg(pieces)
        except OSError:
            taken = 0
        if taken == sum(map(len, pieces)):
            return True
        for done, piece in enumerate(pieces):
            if taken < len(piece):
                self._unsent = memoryview(b"".join([piece[taken:], *pieces[done + 1 :]]))
                break
            taken -= len(piece)
        return self._flush()

    def _flush(self) -> bool:
        """Try again what the connection has not taken yet; True when nothing is left."""
        try:
            while len(self._unsent):
                self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        except OSError as error:
            # Not raised here: answers that came before the end are still to be read.
            self._fault = ChannelLost(_words(error))
            self._unsent = memoryview(b"")
        return True

    def receive(self) -> list[Reply]:
        """See `Channel.receive`. Answers that came with a farewell are handed over; the next call reports the loss."""
        if self._unsent:
            self._flush()
        replies: list[Reply] = []
        size = _SIP
        try:
            while not self._heard_all:
                data = self.sock.recv(size)
                if not data:
                    raise EOFError
                replies += self._reader.feed(data)
                if len(data) < size and not self._tls:
                    break
                size = _READ
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, EOFError, ProtocolError) as error:
            self._fault = self._fault or ChannelLost(_words(error))
            self._heard_all = True
        if self._fault is not None and not replies:
            raise self._fault
        return replies

    @property
    def has_unread(self) -> bool:
        """Whether TLS holds decrypted bytes that a select on the socket would not show."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def wait(self, deadline: float, *, answers: bool = True, others: Sequence[Self] = ()) -> None:
        if not answers and not others and not self._unsent:
            self._clock.sleep_until(deadline)
        else:
            _wait_any((self, *others), self._clock, deadline, answers=answers)

    def close(self) -> None:
        self.sock.close()


def _words(error: Exception) -> str:
    return NOT_REDIS if isinstance(error, ProtocolError) else own_words(error).lower()
