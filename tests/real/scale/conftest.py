"""A real server for the shards to meet in."""

from __future__ import annotations

import pytest
from support.real_servers import launcher, server_programs


@pytest.fixture(scope="session")
def shared_server():
    program = next((path for path in server_programs().values() if path), None)
    if program is None:
        pytest.skip("no server program on this machine")
    starting = launcher()
    yield next(starting)(program)
    next(starting, None)


@pytest.fixture
def server(shared_server):
    """The server, empty."""
    shared_server.ask("FLUSHALL")
    return shared_server
