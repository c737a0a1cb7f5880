from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from support import own_counts
from support.clusters import RealCluster
from support.frameworks import FRAMEWORKS, Framework, told
from support.installing import install, npm, once, venv
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
def shared(tmp_path_factory):
    """A folder that all processes of this session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "frameworks"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def environment(shared):
    """Makes Python environments with a framework in each: their requirements exclude one another. Those with the same
    requirements are the same."""

    def make(name: str, *requirements: str) -> Path:
        place = shared / re.sub(r"\W+", "-", " ".join(sorted(requirements)))
        return once(place, lambda place: venv(place, *requirements)) / "bin"

    return make


@pytest.fixture(scope="session")
def made(environment, shared):
    """Makes the environment of a framework: ``made("celery")``."""

    @cache
    def make(name: str) -> Path:
        framework = FRAMEWORKS[name]
        if name == "sidekiq":
            if shutil.which(framework.command(Path())[0]) is None:
                pytest.skip("no sidekiq on PATH")
            return Path()
        if name == "bullmq":
            return once(shared / "node", lambda place: npm(place, *framework.requirements)) / "node_modules"
        if name == "asynq":
            return once(shared / "go", lambda place: _go(place, framework))
        return environment(name, *framework.requirements)

    return make


def _go(folder: Path, framework: Framework) -> None:
    """The worker, the one that tells plg of its jobs, and what asks Asynq for its counts."""
    (folder / "main.go").write_text(framework.files["main.go"])
    for name, text in (("telling", told("asynq").files["main.go"]), ("counting", own_counts.GO)):
        (folder / name).mkdir()
        (folder / name / "main.go").write_text(text)
    install("go", "mod", "init", "worker", folder=folder)
    install("go", "get", *framework.requirements, folder=folder)
    install("go", "mod", "tidy", folder=folder)
    for name, place in (("worker", "."), ("told", "./telling"), ("counts", "./counting")):
        subprocess.run(["go", "build", "-o", name, place], cwd=folder, check=True, capture_output=True)
