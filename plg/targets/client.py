"""A blocking connection for questions: the one place where redis-py is called."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.dialing import Bounded, Deadline, ask_gate, dial
from plg.targets.faults import NoRedis, explain
from plg.targets.shapes import fits

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
        if self.address.sentinels:
            self._refuse_replica()

    @property
    def place(self) -> str:
        """Where the server listens, once it was connected to: of a master, what its Sentinels said last."""
        return f"{getattr(self._connection, 'host', '')}:{getattr(self._connection, 'port', '')}"

    def _refuse_replica(self) -> None:
        """Raises `TargetError` where the Sentinels still name a server that is the master no more."""
        [role] = self.ask([("ROLE",)])
        if not isinstance(role, Exception) and role[0] == b"slave":
            self.close()
            words = f"{self.place}, which its Sentinels name, is a replica: they have not agreed on another master yet"
            raise TargetError("unreachable", f"{self.address.shown} cannot be reached: {words}", passing=True)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip for all ``commands``. An answer that is an error stands in the list as the exception.

        Raises `TargetError` where the connection fails or the answer is none that Redis gives; the next call connects
        anew.
        """
        from redis.exceptions import ResponseError

        if self._open and self._connection.heard != self.address.roster.changes:
            self.close()
        if not self._open:
            self.open()
        answers: list[Any] = []
        self._deadline.set(self._answer_timeout)
        try:
            if commands != self._asked[0]:
                # Who watches something asks the same again and again.
                self._asked = commands, self._connection.pack_commands(commands)
            self._connection.send_packed_command(self._asked[1])
            for command in commands:
                try:
                    answers.append(self._fitting(command, self._connection.read_response()))
                except ResponseError as error:
                    answers.append(self._cleared(error))
        except Exception as error:  # redis-py's errors have no common family; after any of them the connection is gone
            self.close()
            raise self._told(error) from error
        self._stood = True
        return answers

    def limit(self, seconds: float) -> None:
        """All that is done over this connection from now on gets so many seconds together, in however many steps."""
        self._deadline.limit(seconds)

    def ask_gently(self, commands: Sequence[Command]) -> list[Any] | None:
        """`ask` for what a server need not answer: None where it hangs up, as proxies do on what they do not pass on.

        Raises `TargetError` where the time is over, or what answers is no Redis.
        """
        answers = self.ask_or_why(commands)
        return answers if isinstance(answers, list) else None

    def ask_or_why(self, commands: Sequence[Command]) -> list[Any] | TargetError:
        """`ask_gently`, with the reason where there are no answers."""
        try:
            return self.ask(commands)
        except TargetError as error:
            if self._deadline.over or isinstance(error, NoRedis):
                raise
            return error

    def _fitting(self, command: Command, answer: Any) -> Any:
        """``answer``, where it is one that Redis gives to ``command``."""
        if fits(command, answer):
            return answer
        raise NoRedis(self.address.shown, f"{command[0]!s} is not answered as Redis answers it")

    def _told(self, error: Exception) -> TargetError:
        shown = self.address.shown
        if self.address.sentinels and self._connection.found:
            shown += f" (the master at {self.place})"
        return explain(error, shown, lost=self._stood, hide=self.address.hide)

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


@cache
def _kinds() -> dict[str, Any]:
    """By scheme, connections of redis-py that `dial` makes, and that keep one deadline from there on."""
    from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

    class Dialled(Connection):
        place: Address
        deadline: Deadline

        def _connect(self) -> Any:
            return dial(self.host, self.port, self.place, self.deadline)

    class Found(Dialled):
        """A master, which its Sentinels are asked for whenever it is connected to."""

        found = False

        def _connect(self) -> Any:
            from plg.targets.sentinel import find_master  # it asks by way of a client of its own

            self.found = False
            self.host, self.port = find_master(self.place, self.deadline)
            self.heard, self.found = self.place.roster.changes, True
            return super()._connect()

    class Plain(Dialled):
        def _connect(self) -> Any:
            return _bounded(super()._connect(), self)

    class Secure(SSLConnection, Dialled):
        def _connect(self) -> Any:
            return _bounded(super()._connect(), self)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    class PlainFound(Found):
        def _connect(self) -> Any:
            return _bounded(super()._connect(), self)

    class SecureFound(SSLConnection, Found):
        def _connect(self) -> Any:
            return _bounded(super()._connect(), self)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    class Local(UnixDomainSocketConnection):
        place: Address
        deadline: Deadline

        def _connect(self) -> Any:
            ask_gate("localhost", ("127.0.0.1",), self.place)
            self.socket_connect_timeout = self.deadline.left()
            return _bounded(super()._connect(), self)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    return {
        "redis": Plain, "rediss": Secure, "unix": Local, "redis+sentinel": PlainFound, "rediss+sentinel": SecureFound,
    }  # fmt: skip


def _bounded(whole: socket.socket, connection: Any) -> Bounded:
    whole.settimeout(connection.socket_timeout)
    return Bounded(whole, connection.deadline)


def _connection(address: Address, connect_timeout: float, answer_timeout: float, deadline: Deadline) -> Any:
    options = dict(address.options)
    if address.scheme.startswith("rediss") and options.get("ssl_cert_reqs") != "none":
        options.setdefault("ssl_check_hostname", True)  # not the default of every redis-py
    options |= {"socket_connect_timeout": connect_timeout, "socket_timeout": answer_timeout}
    options["protocol"] = 2  # the raw socket is read by plg, which counts and parses the replies of RESP2
    connection = _quiet(_kinds()[address.scheme], options)
    connection.place, connection.deadline, connection.heard = address, deadline, address.roster.changes
    return connection


def _quiet(kind: Any, options: dict[str, object]) -> Any:
    # redis-py would introduce itself first and swallow the answer, which may be the server's only words before it hangs
    # up. How to keep it quiet changed over its releases.
    for quiet in ({"driver_info": None}, {"lib_name": None, "lib_version": None}):
        with suppress(TypeError):
            return kind(**quiet, **options)
    return kind(**options)
