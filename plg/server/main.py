"""Runs a server until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from plg.access.audit import AuditLog
from plg.access.errors import AccessError
from plg.access.roles import Account
from plg.access.sign_in import LOCAL
from plg.access.tokens import Tokens
from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError
from plg.runs.signals import SIGNALS
from plg.server.app import DRAIN, application
from plg.server.callers import Access
from plg.server.gate import LOOPBACK
from plg.server.idempotency import Repeats
from plg.server.load_tests import LoadTests
from plg.server.planning import Planning
from plg.server.profiles import Profiles
from plg.server.records import Records
from plg.server.rendering import Rendering
from plg.server.service import Service
from plg.server.stream import Dropped

HERE = ("localhost", "127.0.0.1", "::1")
HERE_ALONE = (
    "plg serve (no policy)",
    "environments:\n"
    "  - {name: this-machine, hosts: [embedded, localhost]}\n"
    '  - {name: elsewhere, hosts: ["*"], allow: false}\n',
)
"""The policy of a server that was given none: what is posted goes to this machine, or nowhere."""
_LARGEST_MESSAGE = 4096
"""Bytes of what a client may say on a stream."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is run. ``policies`` are texts of policy files by their names, ``names`` further hosts that it
    answers to; ``certificate`` and its ``key`` are PEM files for TLS."""

    host: str
    port: int
    data: Path
    most: int
    orphan_limit: float
    policies: Sequence[tuple[str, str]] = ()
    names: Sequence[str] = ()
    behind_proxy: bool = False
    certificate: str | None = None
    key: str | None = None
    database: str | None = None


def serve(settings: Settings, told: Callable[[str], None]) -> int:
    """Serve until a signal comes; ``told`` gets the URL once it is open. Raises `ScenarioError`."""
    here = settings.host in HERE
    tokens = Tokens(settings.data)
    if not here:
        _refuse_open(settings, tokens)
    records = Records(settings.data)
    access = Access(tokens, AuditLog(settings.data), open=here)
    policies = tuple(settings.policies) or (HERE_ALONE,)
    tests = LoadTests(records, Planning(), access, policies, settings.most, settings.orphan_limit)
    service = Service(
        tests, records, access, Rendering(), Repeats(), Dropped(), Profiles(settings.data, settings.database)
    )
    listener = _listener(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.certificate else "http"
    url = f"{scheme}://{host}:{listener.getsockname()[1]}/"
    told(url)
    if here and not _anybody(tokens):
        told(f"sign in once at {url}sign-in?code={access.sign_in.one_time_code(Account(LOCAL, 'admin'))}")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        application(service, (*LOOPBACK, *settings.names)), log_config=None, access_log=False, server_header=False,
        date_header=True,
        ws="websockets-sansio", ws_max_size=_LARGEST_MESSAGE, ws_per_message_deflate=False, ws_ping_interval=10.0,
        ws_ping_timeout=30.0, timeout_graceful_shutdown=2, timeout_keep_alive=15, proxy_headers=settings.behind_proxy,
        h11_max_incomplete_event_size=32_768, lifespan="on",
        ssl_certfile=settings.certificate, ssl_keyfile=settings.key,
    )  # fmt: skip
    _Server(config, tests).run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    """Ends its tests before it closes their streams; the second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, tests: LoadTests) -> None:
        super().__init__(config)
        self._tests = tests
        self._draining: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Without raising them again: a server that was told to end has ended as it should."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._asked)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _asked(self) -> None:
        if self._draining is not None:
            self.should_exit = self.force_exit = True
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._tests.drain(DRAIN)
            await asyncio.sleep(0.05)  # the last messages leave
        finally:
            self.should_exit = True


def _refuse_open(settings: Settings, tokens: Tokens) -> None:
    """Raise `ScenarioError` where others could reach a server that lets everybody in, or read what is sent to it."""
    known = _anybody(tokens)
    where = f"to listen on {settings.host}, which others may reach,"
    if not known:
        help = f"plg token create NAME --role admin --data {settings.data}"
        raise ScenarioError([Diagnostic("usage", f"{where} a server needs a token", "<command line>", help=help)])
    if not settings.behind_proxy and not settings.certificate:
        help = "--tls-cert FILE --tls-key FILE, or --behind-proxy where a proxy does that"
        raise ScenarioError([Diagnostic("usage", f"{where} a server needs TLS", "<command line>", help=help)])


def _anybody(tokens: Tokens) -> bool:
    """Whether there is a token. Raises `ScenarioError` where that cannot be told."""
    try:
        return tokens.any_valid
    except AccessError as error:
        raise ScenarioError([Diagnostic("access", error.message, "<command line>", help=error.help)]) from None


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        words = f"{host}:{port} cannot be opened: {(error.strerror or str(error)).lower()}"
        raise ScenarioError([Diagnostic("usage", words, "<command line>", help="--port 0 takes a free one")]) from None
    listener.setblocking(False)
    return listener
