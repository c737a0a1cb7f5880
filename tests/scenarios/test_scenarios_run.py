"""Every shipped scenario, run for real on the private server, passes as it stands and leaves the files it promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from shipped import FACTS, FOLDER, SHIPPED, Facts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


def check(path: Path, out: Path) -> subprocess.CompletedProcess[str]:
    # The target is named, so that a REDIS_URL of the machine never meets the reference workers.
    arguments = ["check", str(path), "--out", str(out), "--target", "embedded", "--quiet"]
    return subprocess.run(
        [sys.executable, "-m", "plg", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_passes_as_shipped(path: Path, tmp_path: Path) -> None:
    done = check(path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads((tmp_path / f"{path.stem}.outcome.json").read_text())
    _ledger_is_as_planned(outcome, FACTS[path.name])
    _workers_took_everything(outcome)
    assert {e["verdict"] for e in outcome["expectations"] if e["level"] == "expect"} == {"pass"}
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(suites.findall("testsuite/testcase")) == len(outcome["expectations"]) + 2
    assert (tmp_path / f"{path.stem}.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / f"{path.stem}.scenario.yaml").stat().st_size > 100


def _ledger_is_as_planned(outcome: dict[str, Any], facts: Facts) -> None:
    ledger = outcome["ledger"]
    assert ledger["planned"] == facts.planned
    assert ledger["shed"] == facts.shed
    assert ledger["acked"] == ledger["sent"] == facts.planned - facts.shed - ledger["late"]
    assert (ledger["failed"], ledger["unknown"], ledger["cancelled"]) == (0, 0, 0)


def _workers_took_everything(outcome: dict[str, Any]) -> None:
    assert outcome["workers"]["processed"] == outcome["ledger"]["acked"]
