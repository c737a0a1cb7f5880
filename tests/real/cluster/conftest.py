"""A cluster of three real nodes; one that tests only put jobs into, and one for each test that harms it."""

from __future__ import annotations

import pytest
from support.clusters import RealCluster
from support.real_servers import launcher


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
