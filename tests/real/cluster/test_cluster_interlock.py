"""The interlock of a cluster is asked by way of any node, and holds for all of them."""

from __future__ import annotations

import threading

import pytest
from support.checked import until

from plg import session
from plg.guardrails.policy import Policy
from plg.guardrails.policy_file import read_policy_text
from plg.outcome import Outcome
from plg.prepare import Request, prepare
from plg.targets.interlock import Allowance, Interlock
from plg.targets.open import open_target

SCENARIO = """scenario "spread" {{
  job a {{ queue "{0}" }} job b {{ queue "{1}" }}
  traffic {{ steady 100/s over {2} }}
  guardrails {{ max_rate 500/s max_total_jobs 10_000 max_duration 1m }}
}}"""


@pytest.mark.parametrize("node", [0, 2])
def test_a_cluster_carries_one_allowance_one_budget_and_one_stop(cluster, tmp_path, node):
    rules = "environments: [{name: here, hosts: [localhost], require_allow: true}]"
    policy = Policy((read_policy_text(rules, "p.yaml"),))
    url, keys = cluster.nodes[node].url(), [cluster.key_at(place) for place in (0, 1)]

    def run(length: str) -> Outcome:
        file = tmp_path / f"{length}.plg"
        file.write_text(SCENARIO.format(*keys, length))
        return session.run(prepare(file, Request({}, url, policy=policy)), session.Observer())

    refused = run("200ms")
    assert refused.exit_code == 6
    assert "carries no plg:allow" in refused.reason
    ended: list[Outcome] = []
    with open_target(cluster.nodes[1].url(), ()) as target:
        interlock = Interlock(target)
        interlock.allow(Allowance(150, 0.0), 600)
        thread = threading.Thread(target=lambda: ended.append(run("30s")))
        thread.start()
        until(lambda: all(cluster.length(key) > 5 for key in keys))
        assert [lease["rate"] for lease in interlock.leases()] == [100]
        assert "other runs there leave 50/s of the budget" in run("200ms").reason
        interlock.stop("ops", "enough", None)
        thread.join()
        interlock.close()
    assert ended[0].verdict == "interrupted"
    assert "stopped by ops by plg target stop" in ended[0].reason
    assert sum(cluster.length(key) for key in keys) == ended[0].ledger.acked
