"""Ten scenarios at a thousand jobs a second each, at the same time, on whatever this machine has."""

from __future__ import annotations

import pytest
from support.checked import adds_up, plg

TEN = """scenario "load-NUMBER" {
  job job { queue "q-NUMBER" payload { n: "${seq}", user: "${uuid}" } }
  traffic { steady 1000/s over 6s }
  guardrails { max_rate 1_200/s  max_total_jobs 20_000  max_duration 1m }
  expect { deviation < 1%  errors == 0 }
}
"""


def ten(folder):
    for number in range(10):
        (folder / f"load-{number}.plg").write_text(TEN.replace("NUMBER", str(number)), encoding="utf-8")
    return sorted(folder.glob("load-*.plg"))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["embedded", "one server"])
def test_ten_scenarios_at_once_each_hold_their_rate(target, tmp_path, server):
    where = server.url() if target == "one server" else target
    done = plg("check", *ten(tmp_path), "--parallel", "10", "--target", where, cwd=tmp_path, seconds=110)
    assert len(done.suites()) == 10
    servers = set()
    for number in range(10):
        outcome = done.outcome(f"load-{number}")
        adds_up(outcome["ledger"])
        assert outcome["ledger"]["planned"] == 6_000
        assert outcome["deviation"] < 0.01, done.out
        assert outcome["verdict"] in ("pass", "invalid")
        servers.add(outcome["target"]["url"])
        if target == "one server":
            assert server.number("LLEN", f"q-{number}") == outcome["ledger"]["acked"]
    assert len(servers) == (10 if target == "embedded" else 1)
    assert done.code == 0, done.out
