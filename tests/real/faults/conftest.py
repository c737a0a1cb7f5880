"""Servers, and a proxy in front of one."""

from __future__ import annotations

import pytest
from support.proxy import Proxy


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
