"""What the workers did stands in every report: the ledger, the times, the flow of jobs."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from support.far_runs import JOBS, folded, plan_in
from support.judged import outcome_of, record, steady

from plg.queues.tracing import Trace
from plg.reports.figure import View
from plg.reports.html import html
from plg.reports.junit import junit
from plg.reports.markdown import markdown
from plg.reports.terminal import summary
from plg.reports.worker_charts import charts_of

LEDGER = (
    "17 completed + 1 dead + 1 waiting + 0 in flight + 0 delayed + 1 lost; 3 failed attempts, 2 retried, 0 duplicates"
)
LOST = "1 job that Redis confirmed can be found nowhere"


@pytest.fixture
def outcome(tmp_path):
    traces = {
        3: Trace("dead", 2.0, 2.0, 4.0, failures=3, retries=2), 7: Trace("gone"), 19: Trace("waiting"),
    }  # fmt: skip
    return outcome_of(folded(plan_in(tmp_path), traces))


def test_every_report_has_the_ledger_of_the_workers(outcome) -> None:
    terminal, page, table = summary(outcome), html([outcome]), markdown([outcome])
    [case] = [
        each for each in ElementTree.fromstring(junit([outcome])).iter("testcase") if each.get("name") == "ledger"
    ]
    told = case.findtext("system-out")
    for text in (terminal, re.sub(r"&#x27;", "'", page), table.replace("\\", ""), told):
        assert LEDGER in text
        assert LOST in text
        assert "queue_wait p50 1" in text


def test_the_flow_of_jobs_rises_to_their_number(outcome) -> None:
    flow, wait, run = charts_of(outcome, View.of(outcome))
    assert [trace["name"] for trace in flow.figure["data"]] == ["due", "sent", "started", "finished"]
    assert [trace["y"][-1] for trace in flow.figure["data"]] == [JOBS, JOBS, JOBS - 2, JOBS - 2]
    assert wait.figure["layout"]["yaxis"]["type"] == run.figure["layout"]["yaxis"]["type"] == "log"
    assert "Cumulative flow" in html([outcome])
    json.dumps(flow.figure)


def test_a_run_without_workers_has_no_such_charts() -> None:
    outcome = outcome_of(record(steady(2.0)))
    assert charts_of(outcome, View.of(outcome)) == []
    assert "Cumulative flow" not in html([outcome])
    assert "workers:" not in summary(outcome)
