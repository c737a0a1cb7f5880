from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from support.clusters import RealCluster
from support.frameworks import FRAMEWORKS, Framework, told
from support.installing import install, npm
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


@pytest.fixture(scope="session")
def made(environment, tmp_path_factory):
    """Makes the environment of a framework: ``made("celery")``."""

    @cache
    def make(name: str) -> Path:
        framework = FRAMEWORKS[name]
        if name == "sidekiq":
            if shutil.which("sidekiq") is None:
                pytest.skip("no sidekiq on PATH")
            return Path()
        if name == "bullmq":
            return npm(tmp_path_factory.mktemp("node"), *framework.requirements)
        if name == "asynq":
            return _go(tmp_path_factory.mktemp("go"), framework)
        return environment(name, *framework.requirements)

    return make


def _go(folder: Path, framework: Framework) -> Path:
    """Two programs: the worker, and the one that tells plg of its jobs."""
    (folder / "main.go").write_text(framework.files["main.go"])
    (folder / "telling").mkdir()
    (folder / "telling" / "main.go").write_text(told("asynq").files["main.go"])
    install("go", "mod", "init", "worker", folder=folder)
    install("go", "get", *framework.requirements, folder=folder)
    install("go", "mod", "tidy", folder=folder)
    for name, place in (("worker", "."), ("told", "./telling")):
        subprocess.run(["go", "build", "-o", name, place], cwd=folder, check=True, capture_output=True)
    return folder
