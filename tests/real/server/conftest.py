"""Servers for the tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.plg_server import Server
from support.real_servers import launcher


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers: ``serve("--max-tests", "2")``."""
    running: list[Server] = []

    def start(*options: str) -> Server:
        running.append(Server(tmp_path_factory.mktemp("data"), options))
        return running[-1]

    yield start
    for server in running:
        if server.process.returncode is None:
            server.end()


@pytest.fixture(scope="module")
def plg_server(serve: Callable[..., Server]) -> Server:
    """One server for the tests of a module."""
    return serve()


@pytest.fixture(scope="module")
def redis_server(any_binary: Path) -> Iterator[Any]:
    """One Redis for the tests of a module."""
    made = launcher()
    yield next(made)(any_binary)
    next(made, None)
