"""``plg check`` against a cluster, from the file to the report."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCENARIO = """
scenario "spread" {{
  connections 2
  job a {{ queue "{0}" }}
  job b {{ queue "{1}" }}
  job c {{ stream "{2}" }}
  workers 2 each 1ms
  traffic {{ steady 300/s over 1s }}
  guardrails {{ max_rate 1000/s max_total_jobs 1000 max_duration 1m }}
  expect {{ errors == 0  drain_time < 10s  queue_depth >= 0 }}
}}
"""


def check(folder, *words):
    command = [sys.executable, "-m", "plg", "check", "spread.plg", "--quiet", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture
def scenario(cluster, tmp_path):
    keys = [cluster.key_at(place) for place in range(3)]
    (tmp_path / "spread.plg").write_text(SCENARIO.format(*keys))
    return tmp_path


def test_a_scenario_over_all_nodes(cluster, scenario):
    ran = check(scenario, "--target", cluster.nodes[0].url(), "--connections", "3")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "cluster of 3 nodes" in ran.stdout
    outcome = json.loads((scenario / "plg-report" / "spread.outcome.json").read_text())
    assert (outcome["target"]["kind"], outcome["target"]["nodes"]) == ("cluster", 3)
    assert outcome["scenario"]["connections"] == 3
    assert outcome["ledger"]["acked"] == outcome["workers"]["processed"] == 300
    assert "cluster of 3 nodes" in (scenario / "plg-report" / "spread.html").read_text()


@pytest.mark.parametrize("number", ["0", "65", "-1", "two", "1.5"])
def test_a_number_of_connections_that_cannot_be(scenario, number):
    ran = check(scenario, f"--connections={number}")
    assert ran.returncode == 2
    assert "from 1 to 64" in ran.stderr + ran.stdout
