"""A blocking connection for questions: the one place where redis-py is called."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.faults import explain

Command = tuple[str | bytes | int | float, ...]


class Client:
    """Commands and their answers over one connection, opened when first needed and again after a fault.

    ``connect_timeout`` and ``answer_timeout`` are in seconds. Answers are RESP2: bytes, int, list or None.
    """

    def __init__(self, address: Address, *, connect_timeout: float, answer_timeout: float) -> None:
        self.address = address
        self._connect_timeout, self._answer_timeout = connect_timeout, answer_timeout
        self._deadline = Deadline()
        self._connection: Any = _connection(address, connect_timeout, answer_timeout, self._deadline)
        self._open = False
        self._stood = False
        self._asked: tuple[Sequence[Command], Any] = ((), [])

    def open(self) -> None:
        """Connects, authenticates and selects the database, all within ``connect_timeout``. Raises `TargetError`."""
        self._deadline.set(self._connect_timeout)
        try:
            self._connection.connect()
        except Exception as error:  # redis-py lets AttributeError and UnicodeError escape beside its own family
            self.close()
            raise self._told(error) from error
        self._open = True

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip for all ``commands``. An answer that is an error stands in the list as the exception.

        Raises `TargetError` where the connection fails; the next call connects anew.
        """
        from redis.exceptions import ResponseError

        if not self._open:
            self.open()
        answers: list[Any] = []
        self._deadline.set(self._answer_timeout)
        try:
            if commands != self._asked[0]:
                # Who watches something asks the same again and again.
                self._asked = commands, self._connection.pack_commands(commands)
            self._connection.send_packed_command(self._asked[1])
            for _ in commands:
                try:
                    answers.append(self._connection.read_response())
                except ResponseError as error:
                    answers.append(self._cleared(error))
        except Exception as error:  # redis-py's errors have no common family; after any of them the connection is gone
            self.close()
            raise self._told(error) from error
        self._stood = True
        return answers

    def _told(self, error: Exception) -> TargetError:
        told = explain(error, self.address.shown, lost=self._stood)
        return TargetError(told.kind, self.address.hide(str(told)))

    def _cleared(self, error: Exception) -> Exception:
        """A server may repeat in its error what it was given, the arguments of AUTH for one."""
        error.args = tuple(self.address.hide(word) if isinstance(word, str) else word for word in error.args)
        return error

    def detach(self) -> socket.socket:
        """Gives the socket away, opened if it was not; this client forgets it."""
        if not self._open:
            self.open()
        # redis-py has no public way to hand its socket over. Connecting through it is worth the private name: TLS,
        # user and password, database and address families are its business. Its connection closes `_sock` when it is
        # collected, so it must forget it.
        raw: socket.socket = self._connection._sock.whole
        self._connection._sock = None
        self.close()
        return raw

    def close(self) -> None:
        self._open = False
        self._connection.disconnect()


def load_client() -> None:
    """Import redis-py before the first `Client` does: it takes a while, which may be one of waiting anyway."""
    import redis.connection  # noqa: F401  # for the sake of the import


class Deadline:
    """The moment by which an exchange must be over, however many pieces its answer comes in."""

    def __init__(self) -> None:
        self._until = math.inf

    def set(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self, wanted: float | None) -> float:
        """Seconds that a wait may take of the ``wanted`` ones. Raises `TimeoutError` where none is left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left if wanted is None else min(left, wanted)


class _Bounded:
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


def _checked(kind: Any, address: Address, deadline: Deadline) -> Any:
    """A kind of connection that asks the gate of ``address`` before it says a word, and keeps its ``deadline``."""

    class Checked(kind):  # type: ignore[misc]  # redis-py leaves its classes untyped
        def _connect(self) -> Any:
            whole = super()._connect()
            try:
                _ask_gate(address, whole)
            except BaseException:
                whole.close()
                raise
            return _Bounded(whole, deadline)

    return Checked


def _ask_gate(address: Address, found: socket.socket) -> None:
    """Raises `TargetError` where no jobs may go to the host behind a socket: the very one that they would go to."""
    if address.gate is None or address.scheme == "unix":
        return
    refusal = address.gate(str(address.options.get("host") or "localhost"), str(found.getpeername()[0]))
    if refusal:
        raise TargetError("refused", f"{address.shown}: {refusal}")


def _connection(address: Address, connect_timeout: float, answer_timeout: float, deadline: Deadline) -> Any:
    from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

    options = dict(address.options)
    kinds: dict[str, Any] = {"redis": Connection, "rediss": SSLConnection, "unix": UnixDomainSocketConnection}
    kind = _checked(kinds[address.scheme], address, deadline)
    if address.scheme == "rediss" and options.get("ssl_cert_reqs") != "none":
        options.setdefault("ssl_check_hostname", True)  # not the default of every redis-py
    options |= {"socket_connect_timeout": connect_timeout, "socket_timeout": answer_timeout}
    options["protocol"] = 2  # the raw socket is read by plg, which counts and parses the replies of RESP2
    # redis-py would introduce itself first and swallow the answer, which may be the server's only words before it hangs
    # up. How to keep it quiet changed over its releases.
    for quiet in ({"driver_info": None}, {"lib_name": None, "lib_version": None}):
        with suppress(TypeError):
            return kind(**quiet, **options)
    return kind(**options)
