"""A run divided among processes: one start, the jobs of one run, one verdict; and a shard that is lost or late."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest
from support.checked import plg

from plg.outcome_io import from_json, to_json
from plg.reports import wording
from plg.reports.html import html
from plg.reports.markdown import markdown
from plg.runs.events import Event, Ready, Windows
from plg.runs.launcher import NoOutcome, launcher_for
from plg.stop import Stop


def await_event(heard: list[Event], kind: type[Event], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not any(isinstance(event, kind) for event in list(heard)):
        assert time.monotonic() < until, heard
        time.sleep(0.01)


def ordered(order, where: str = "local:3"):
    """The run, ready to begin, and what it tells."""
    heard: list[Event] = []
    handle = launcher_for(where).launch(order, heard.append)
    await_event(heard, Ready)
    return handle, heard


def test_shards_make_the_jobs_of_one_run_each_once(order_for, server, seqs):
    handle, heard = ordered(order_for("ramp 100/s -> 900/s over 2s", "errors == 0 acked == 1000"))
    handle.begin()
    outcome = handle.outcome()
    assert outcome.ledger.planned == outcome.ledger.acked == 1000
    assert seqs() == list(range(1000))
    assert {result.verdict for result in outcome.expectations} == {"pass"}
    assert outcome.shard is not None
    assert outcome.shard.parts == (1, 2, 3)
    assert [shard.part for shard in outcome.shards] == [1, 2, 3]
    assert sum(shard.acked or 0 for shard in outcome.shards) == 1000
    assert min(shard.skew_s for shard in outcome.shards if shard.skew_s is not None) == 0
    rows = [row for event in heard if isinstance(event, Windows) for row in event.rows]
    assert rows[-1]["duration"] == 2.0
    assert rows[-1]["acked"] > 300, "a row has the sum of all shards"
    assert server.number("EXISTS", f"plg:limits:{outcome.run_id}") == 0


def test_every_report_says_how_each_shard_did(order_for, server):
    handle, _ = ordered(order_for("steady 300/s over 1s"), "local:2")
    handle.begin()
    outcome = handle.outcome()
    again = from_json(to_json(outcome))
    assert again.shards == outcome.shards
    said = wording.shard_sentence(outcome, outcome.shards[1])
    assert said.startswith("shard 2 of 2 on process 2 began ")
    assert "150 of 150 jobs acked, deviation 0%" in said
    assert "shard 2 of 2 on process 2" in markdown([outcome])
    page = html([outcome])
    assert "The generators that made this run together." in page
    assert "process 2" in page


def test_a_limit_seen_by_all_ends_all_and_is_one_stop(order_for, server):
    handle, _ = ordered(order_for("steady 300/s over 20s", limits="max_queue_depth 200"))
    handle.begin()
    outcome = handle.outcome()
    assert (outcome.verdict, outcome.exit_code, outcome.stop.name) == ("stopped", 4, "guardrail")
    assert outcome.duration_s < 10
    assert outcome.ledger.acked == server.number("LLEN", "q") < 1000


def test_a_total_is_shared_and_never_exceeded(order_for, server):
    order = order_for("steady 600/s over 2s", limits="")
    text = order.text.replace("max_total_jobs 1_000_000", "max_total_jobs 500")
    handle, _ = ordered(type(order)(**{**_fields(order), "text": text, "source": None}))
    handle.begin()
    outcome = handle.outcome()
    assert outcome.stop.by == "max_total_jobs" or "max_total_jobs" in outcome.reason
    assert outcome.ledger.acked == 500
    assert server.number("LLEN", "q") == outcome.ledger.acked


def _fields(order) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__dataclass_fields__}


def test_what_only_the_sum_breaks_ends_all(order_for, server):
    """No shard alone sends as many: together they have, by the counter in the target."""
    handle, _ = ordered(order_for("steady 300/s over 20s", "acked < 600 or stop"))
    handle.begin()
    outcome = handle.outcome()
    assert outcome.stop.name == "expectation"
    assert outcome.exit_code == 3 or "could not hold the schedule" in outcome.reason, outcome.reason
    assert outcome.stop.by.startswith("shard ")
    assert all((shard.acked or 0) < 600 for shard in outcome.shards)
    assert 600 <= outcome.ledger.acked == server.number("LLEN", "q") < 1500
    assert outcome.expectations[0].verdict == "fail"


def test_a_stop_says_who_and_ends_all(order_for, server):
    handle, heard = ordered(order_for("steady 300/s over 30s"))
    handle.begin()
    await_event(heard, Windows)
    handle.stop(Stop("user", "enough", "ann"))
    outcome = handle.outcome()
    assert (outcome.verdict, outcome.stop.name, outcome.stop.by) == ("interrupted", "user", "ann")
    assert outcome.ledger.acked == server.number("LLEN", "q") > 0


def test_a_shard_that_dies_makes_the_run_invalid_and_is_named(order_for, server):
    handle, heard = ordered(order_for("steady 300/s over 30s"))
    handle.begin()
    await_event(heard, Windows)
    begin = time.monotonic()
    os.kill(handle._shards[1].handle.process.pid, signal.SIGKILL)
    outcome = handle.outcome()
    assert time.monotonic() - begin < 15, "the others do not go on for nothing"
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 5)
    assert outcome.reason.startswith("not judged: shard 2 of 3 on process 2 left no outcome")
    assert outcome.stop.name == "shard"
    assert [(shard.part, shard.verdict) for shard in outcome.shards if shard.planned is None] == [(2, "lost")]
    assert "shard 2 of 3 on process 2" in wording.shard_sentence(outcome, outcome.shards[1])


def test_a_shard_that_starts_late_makes_the_run_invalid_and_is_named(order_for):
    handle, _ = ordered(order_for("steady 300/s over 3s"))
    late = handle._shards[2].handle.process.pid
    os.kill(late, signal.SIGSTOP)
    handle.begin()
    time.sleep(2.5)  # the start is a second after the begin
    os.kill(late, signal.SIGCONT)
    outcome = handle.outcome()
    assert (outcome.verdict, outcome.exit_code) == ("invalid", 5)
    assert re.match(r"not judged: the shards started .* apart \(shard 3 last\), more than 50ms", outcome.reason)
    assert outcome.shards[2].skew_s > 1 > outcome.shards[0].skew_s


def test_a_shard_with_another_plan_is_refused_before_anything_is_sent(order_for, server, monkeypatch):
    monkeypatch.setattr("plg.runs.sharded.digest", lambda prepared: "0123456789abcdef")
    heard: list[Event] = []
    handle = launcher_for("local:2").launch(order_for("steady 300/s over 1s"), heard.append)
    with pytest.raises(NoOutcome, match=r"shard \d of 2 on process \d: this worker's plan is not the one") as refused:
        handle.outcome()
    assert refused.value.code == 2
    assert server.number("EXISTS", "q") == 0


@pytest.mark.parametrize("text", ["local", "local:0", "local:x", "local:1001", "dask:", "dask:host", "dask:local:0"])
def test_what_names_no_shards_is_refused(text):
    with pytest.raises(Exception, match="--launch"):
        launcher_for(text)


SCENARIO = """scenario "sale" {
  job job { queue "q" payload { n: "${seq}" } }
  traffic poisson { steady 400/s over 1s }
  guardrails { max_rate 5_000/s  max_total_jobs 10_000  max_duration 30s }
  expect { errors == 0  deviation < 1% }
}
"""


def test_check_launches_shards_and_writes_one_set_of_artifacts(tmp_path: Path, server):
    (tmp_path / "sale.plg").write_text(SCENARIO, encoding="utf-8")
    done = plg("check", "sale.plg", "--launch", "local:2", "--target", server.url(), cwd=tmp_path)
    assert done.code in (0, 5), done.said
    outcome = done.outcome("sale")
    assert outcome["ledger"]["acked"] == outcome["ledger"]["planned"] == server.number("LLEN", "q")
    assert len(outcome["shards"]) == 2
    assert [suite.get("name") for suite in done.suites()] == ["sale"]
    names = {path.name for path in done.report.iterdir()}
    assert names == {"junit.xml", "sale.html", "sale.outcome.json", "sale.scenario.yaml"}
    assert "shard 1 of 2 on process 1 began " in done.out


def test_check_refuses_to_launch_a_shard_or_an_unknown_launcher(tmp_path: Path):
    (tmp_path / "sale.plg").write_text(SCENARIO, encoding="utf-8")
    for more, words in (
        (["--launch", "local:2", "--shard", "1/2", "--run-id", "r"], "--launch divides the run itself"),
        (["--launch", "moon:2"], "no launcher is called 'moon'"),
    ):
        done = plg("check", "sale.plg", *more, cwd=tmp_path)
        assert done.code == 2
        assert words in done.said
