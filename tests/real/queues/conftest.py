from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.clusters import RealCluster
from support.real_servers import launcher


@pytest.fixture(scope="module")
def _kept_server(any_binary):
    starting = launcher()
    yield next(starting)(any_binary)
    next(starting, None)


@pytest.fixture
def one_server(_kept_server):
    """A real server that is empty, and the same for all tests of a file."""
    _kept_server.ask("FLUSHALL")
    _kept_server.ask("ACL", "DELUSER", "ann")
    return _kept_server


@pytest.fixture
def cluster(servers, any_binary):
    """A real cluster of three nodes."""
    return RealCluster(servers, any_binary)


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Makes Python environments with a framework in each: their requirements exclude one another."""
    folder = tmp_path_factory.mktemp("frameworks")

    def make(name: str, *requirements: str) -> Path:
        place = folder / name
        if not place.exists():
            if shutil.which("python3") is None:
                pytest.skip("no python3 to make an environment with")
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *requirements], check=True)
        return place / "bin"

    return make
