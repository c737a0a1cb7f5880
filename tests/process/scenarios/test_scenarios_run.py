"""Every shipped scenario, run for real on the private server, passes as it stands and leaves the files it promises."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.shipped import FACTS, FOLDER, WITHOUT_EXAMPLE, Facts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AT_ONCE = 3
"""Runs side by side: each keeps a core busy for a tenth of its time, and a busy machine is part of the test."""

Runs = dict[Path, tuple[Path, "Future[subprocess.CompletedProcess[str]]"]]


def check(path: Path, out: Path) -> subprocess.CompletedProcess[str]:
    # The target is named, so that a REDIS_URL of the machine never meets the reference workers.
    arguments = ["check", str(path), "--out", str(out), "--target", "embedded", "--quiet"]
    return subprocess.run(
        [sys.executable, "-m", "plg", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The runs of the scenarios that were asked for, the longest first."""
    items = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    wanted = {item.callspec.params["path"] for item in items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started: Runs = {}
        for path in sorted(wanted, key=lambda path: -FACTS[path.name].duration):
            out = tmp_path_factory.mktemp(path.stem)
            started[path] = (out, pool.submit(check, path, out))
        yield started


@pytest.mark.parametrize("path", WITHOUT_EXAMPLE, ids=lambda path: path.stem)
def test_it_passes_as_shipped(path: Path, runs: Runs) -> None:
    out, run = runs[path]
    done = run.result()
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads((out / f"{path.stem}.outcome.json").read_text())
    _ledger_is_as_planned(outcome, FACTS[path.name])
    assert outcome["workers"]["processed"] == outcome["ledger"]["acked"]
    assert {e["verdict"] for e in outcome["expectations"] if e["level"] == "expect"} == {"pass"}
    suites = ElementTree.parse(out / "junit.xml").getroot()
    assert len(suites.findall("testsuite/testcase")) == len(outcome["expectations"]) + len(outcome["notices"]) + 2
    assert (out / f"{path.stem}.html").read_text().startswith("<!DOCTYPE html>")
    assert (out / f"{path.stem}.scenario.yaml").stat().st_size > 100


def _ledger_is_as_planned(outcome: dict[str, Any], facts: Facts) -> None:
    ledger = outcome["ledger"]
    assert ledger["planned"] == facts.planned
    assert ledger["shed"] == facts.shed
    assert ledger["acked"] == ledger["sent"] == facts.planned - facts.shed - ledger["late"]
    assert (ledger["failed"], ledger["unknown"], ledger["cancelled"]) == (0, 0, 0)
