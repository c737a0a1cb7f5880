"""Scenarios as tests: what pytest itself says of them, and what the queue holds afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest

SALE = """
scenario sale {
  job order { queue "orders" }
  traffic { steady 50/s over 1s }
  guardrails { max_rate 100/s max_total_jobs 1_000 max_duration 1m }
  watch 0s
  expect {
    errors == 0
    throughput > 1000/s
    warn throughput > 2000/s
    completed == 50
    deviation < 50%
  }
}
"""


def pytest_in(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code of pytest in this folder, and what it wrote."""
    plugins = [word for name in ("no:cacheprovider", "plg.pytest_plugin", "xdist") for word in ("-p", name)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-rA", *words],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(folder)},
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path, server) -> Path:
    """A folder with a scenario that goes to the server of the test, and settings that name it."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "sale.plg").write_text(SALE)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nplg_files = scenarios/*.plg\nplg_args = --target {server.url()}\n")
    return tmp_path


def test_pytest_finds_it_by_itself() -> None:
    [found] = [entry for entry in entry_points(group="pytest11") if entry.name == "plg"]
    assert found.value == "plg.pytest_plugin"


def test_each_expectation_is_a_test_and_the_run_is_one(project: Path, server) -> None:
    code, said = pytest_in(project, "--junitxml", "junit.xml")
    assert code == 1
    assert "2 failed, 4 passed, 1 warning" in said, said
    for text in ("run", "errors == 0", "deviation < 50%"):
        assert f"PASSED scenarios/sale.plg::{text}" in said
    assert "FAILED scenarios/sale.plg::throughput > 1000/s" in said
    assert "scenarios/sale.plg:9: throughput > 1000/s\nexpected > 1000/s, observed 50" in said
    assert "WarningNotHeld: warn throughput > 2000/s" in said
    assert "completed == 50" in said
    assert "no data" in said
    assert server.number("LLEN", "orders") == 50, "one run for all"
    assert (project / "plg-report" / "scenarios-sale.plg" / "sale.html").exists()
    cases = {case.get("name"): case for case in ElementTree.parse(project / "junit.xml").iter("testcase")}
    assert cases["errors == 0"].find("failure") is None
    assert cases["throughput > 1000/s"].find("failure") is not None


def test_some_of_them_divided_among_workers_are_one_run(project: Path, server) -> None:
    code, said = pytest_in(project, "-n", "2", "-k", "errors or deviation or run")
    assert code == 0, said
    assert "3 passed" in said
    assert not list(project.glob("plg-pytest-*")), "nothing is left of it"
    assert server.number("LLEN", "orders") == 50


def test_what_is_not_named_sends_nothing_and_what_is_broken_says_where(project: Path, server) -> None:
    (project / "other.plg").write_text(SALE)
    (project / "scenarios" / "broken.plg").write_text(SALE.replace("errors == 0", "erors == 0"))
    code, said = pytest_in(project, "--collect-only", "-q")
    assert code == 2
    assert "there is no measure" in said or "erors" in said
    assert "did you mean" in said
    assert "other.plg" not in said
    assert "scenarios/sale.plg::errors == 0" in said
    code, said = pytest_in(project, "other.plg", "--plg-target", "redis://127.0.0.1:1/0", "-k", "run")
    assert code == 1
    assert "cannot be reached" in said, "the option is said last, and the check had no outcome"
    assert server.number("LLEN", "orders") == 0


def test_a_fixture_runs_a_scenario_beside_the_test(project: Path, server) -> None:
    (project / "scenarios" / "test_sale.py").write_text(
        "def test_sale(plg_run):\n"
        "    outcome = plg_run('sale.plg', '--seed', '7')\n"
        "    assert (outcome.ledger.acked, outcome.seed, outcome.verdict) == (50, 7, 'fail')\n"
    )
    code, said = pytest_in(project, "scenarios/test_sale.py")
    assert code == 0, said
    assert server.number("LLEN", "orders") == 50
