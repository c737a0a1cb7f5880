"""What a run left in the nodes of a cluster goes from all of them, seen node by node."""

from __future__ import annotations

import json
import os
import signal

import pytest
from support.checked import Started, plg, until

SCENARIO = """
scenario "spread" {{
  job a {{ queue "{0}" }}
  job b {{ queue "{1}" }}
  job c {{ stream "{2}" }}
  job d {{ queue bullmq "shop" {{ prefix: "{{bull}}" }} call "work" delay 60s }}
  job e {{ queue saq "{{shop}}" call "work" }}
  traffic {{ steady 300/s over {3} }}
  guardrails {{ max_rate 1000/s max_total_jobs 100_000 max_duration 2m }}
}}
"""


def held(cluster) -> list[int]:
    return [node.number("DBSIZE") for node in cluster.nodes]


@pytest.mark.slow
def test_a_run_and_a_crashed_one_are_cleaned(cluster, tmp_path) -> None:
    target = cluster.nodes[1].url()
    keys = [cluster.key_at(place) for place in range(3)]
    (tmp_path / "spread.plg").write_text(SCENARIO.format(*keys, "500ms"))
    assert plg("check", "spread.plg", "--target", target, "--clean", cwd=tmp_path).code in (0, 5)
    assert held(cluster) == [0, 0, 0]
    (tmp_path / "spread.plg").write_text(SCENARIO.format(*keys, "30s"))
    with Started("check", "spread.plg", "--target", target, "--run-id", "crashed", cwd=tmp_path) as started:
        until(lambda: all(held(cluster)) and sum(held(cluster)) > 60)
        assert "still going on" in plg("clean", "crashed", "--target", target, cwd=tmp_path).said
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
    [row] = json.loads(plg("clean", "--list", "--json", "--target", target, cwd=tmp_path).out)["runs"]
    assert (row["run"], row["running"], row["jobs_left"] > 60) == ("crashed", False, True)
    done = plg("clean", "crashed", "--target", target, cwd=tmp_path)
    assert done.code == 0, done.said
    assert held(cluster) == [0, 0, 0]
