"""What was left in the queue, and that nobody worked, in every report; and in what is saved, merged and judged anew."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from support.judged import Glance, expect, outcome_of, record, steady

from plg.judge import rejudge
from plg.judge.remains import nobody_worked, queue_result
from plg.judge.shards import as_shard
from plg.notices import notices
from plg.outcome import FarSide, QueueResult, ShardInfo
from plg.outcome_io import from_json, to_json
from plg.reports.github import annotate
from plg.reports.html import html
from plg.reports.junit import junit
from plg.reports.markdown import markdown
from plg.reports.terminal import summary
from plg.runner.recording import FarRecord

NOBODY = "no job was taken from the queue: 200 jobs still wait, the oldest 9.9s"


def left(end, start=0, age=9.93, depths=(0, 100, 200), **more):
    glances = [Glance(3.0 * k, queue_depth=depth) for k, depth in enumerate(depths)]
    return record(steady(20), glances, start_depth=start, end_depth=end, end_age_s=age, last_send_s=9.95, **more)


@pytest.fixture(scope="module")
def nobody():
    return outcome_of(left(200), expectations=(expect("errors", "==", 0.0),))


def test_it_is_the_first_line_of_every_report(nobody):
    assert nobody.verdict == "pass"
    assert nobody.reason == "the one expectation held, but no job was taken from the queue"
    assert summary(nobody).splitlines()[0] == f"warning: {NOBODY}"
    assert markdown([nobody]).splitlines()[0] == f"> ⚠️ {NOBODY}"
    assert annotate(nobody).splitlines()[0].endswith(f"::{NOBODY}")
    page = html([nobody])
    assert page.split("<header>\n", 1)[1].startswith('<p class="reason doubt" role="alert">No job was taken')
    suite = ElementTree.fromstring(junit([nobody])).find("testsuite")
    first = suite.find("testcase")
    assert (first.get("name"), first.find("skipped").get("message")) == ("nobody worked", NOBODY)
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    saved = json.loads(to_json(nobody))
    assert list(saved)[:3] == ["version", "notices", "queue"]
    assert saved["notices"] == [{"code": "nobody-worked", "text": NOBODY}]
    told = {"start": 0, "end": 200, "oldest_s": 9.93, "nobody_worked": True, "said": NOBODY, "failed": None}
    assert saved["queue"] == told


def test_a_run_that_nothing_was_expected_of_says_so_first_in_every_report():
    words = "no line says what must hold, so nothing was judged"
    warned = replace(expect("errors", "==", 0.0), level="warn")
    for expectations in ((), (warned,)):
        outcome = outcome_of(left(0), expectations=expectations)
        assert outcome.exit_code == 0
        assert summary(outcome).splitlines()[0] == f"warning: {words}"
        assert markdown([outcome]).splitlines()[0] == f"> ⚠️ {words}"
        assert annotate(outcome).splitlines()[0].endswith(f"::{words}")
        assert html([outcome]).split("<header>\n", 1)[1].startswith('<p class="reason doubt" role="alert">No line says')
        first = ElementTree.fromstring(junit([outcome])).find("testsuite").find("testcase")
        assert (first.get("name"), first.find("skipped").get("message")) == ("nothing promised", words)
        assert json.loads(to_json(outcome))["notices"] == [{"code": "nothing-promised", "text": words}]
    assert not notices(outcome_of(left(0), expectations=(expect("errors", "==", 0.0),)))
    assert not notices(outcome_of(record([], start_depth=0, end_depth=0, stop="target"), expectations=()))


def test_it_comes_back_from_a_saved_outcome_and_stays_when_that_is_judged_anew(nobody):
    again = from_json(to_json(nobody))
    assert again.queue == nobody.queue
    assert rejudge(again, [expect("errors", ">", 0.0)]).queue.said == NOBODY
    document = json.loads(to_json(nobody))
    del document["queue"]
    assert from_json(json.dumps(document)).queue == QueueResult(), "an earlier plg did not save it"


def test_every_report_says_what_latency_is_where_it_speaks_of_it(nobody):
    line = expect("latency", "<", 1.0, "max")
    outcome = outcome_of(left(200), expectations=(line, expect("errors", "==", 0.0)))
    words = (
        "latency is the answer of Redis and not the work; "
        "queue_age, drain_time and queue_depth tell when jobs were taken, not whether they were done"
    )
    for report in (summary(outcome), markdown([outcome]), junit([outcome])):
        assert report.count(words) == 1
    for report in (summary(nobody), junit([nobody])):
        assert words not in report
    page = html([nobody])
    assert words[1:] in page, "the page shows latency whatever is asked"
    assert page.index("the answer of Redis, not the work") < page.index(words[1:])


def test_what_still_waits_is_said_in_every_report():
    outcome = outcome_of(left(100, depths=(0, 150, 100)), expectations=(expect("errors", "==", 0.0),))
    said = "still waiting: 100 jobs, the oldest 9.9s"
    assert outcome.queue.said == said
    assert f"note {said}" in summary(outcome)
    assert "warning" not in summary(outcome)
    assert f"- {said}" in markdown([outcome])
    assert said in html([outcome])
    assert said in junit([outcome])
    assert json.loads(to_json(outcome))["queue"]["said"] == said


@pytest.mark.parametrize(
    ("recording", "said"),
    [
        (left(0), ""),
        (left(5, start=5), ""),
        (left(205, start=5), NOBODY.replace("200 jobs still wait", "205 jobs still wait (5 from before the run)")),
        (left(204, start=5), "still waiting: 204 jobs (5 from before the run), the oldest 9.9s"),
        (left(1, age=0.2346), "still waiting: 1 job, the oldest 230ms"),
        (left(7, age=None), "still waiting: 7 jobs"),
        (left(None), "the queue could not be looked at after the last send"),
        (left(None, stop="target"), ""),
        (left(200, start=None), ""),
        (record([], start_depth=0, end_depth=3), ""),
    ],
)
def test_the_sentence(recording, said):
    assert queue_result(recording).said == said


def test_a_queue_that_was_seen_to_shrink_was_worked_on():
    """Others add to it as fast as the run does."""
    assert not nobody_worked(left(300, depths=(0, 150, 140, 300)))
    assert nobody_worked(left(300, depths=(0, 150, 140, 300), sample_step=0.1)), "of several generators, side by side"


def test_a_shard_cannot_tell_it_of_the_common_queue(nobody):
    shard = as_shard(nobody, ShardInfo("g", 2, (1,)))
    assert not shard.queue.nobody_worked
    assert shard.queue.said == "still waiting: 200 jobs, the oldest 9.9s"


def test_a_pass_by_the_queue_alone_says_that_the_work_was_not_seen(nobody):
    """Workers that take every job and fail look well there."""
    line = expect("queue_depth", "<", 900.0)
    words = "queue_age, drain_time and queue_depth tell when jobs were taken, not whether they were done: see docs/"
    seen = outcome_of(left(0), expectations=(line,))
    assert seen.verdict == "pass"
    for report in (summary(seen), markdown([seen])):
        assert report.count(words) == 1
    told = replace(seen, recording=replace(seen.recording, far=FarRecord(jobs=seen.ledger.acked)))
    for outcome in (told, nobody, outcome_of(left(0), expectations=(expect("errors", "==", 0.0),))):
        assert words not in summary(outcome)


@pytest.mark.parametrize(
    ("completed", "dead", "in_flight", "said"),
    [(0, 0, 8, True), (0, 0, 1, True), (1, 0, 8, False), (0, 1, 8, False), (0, 0, 0, False)],
)
def test_jobs_that_were_taken_and_never_done_are_no_quiet_pass(completed, dead, in_flight, said):
    """As where a worker takes all and is killed: nothing waits any more, and nothing was done."""
    far = FarSide(completed, 0, 0, dead, 0, in_flight, 0, 0, 0, read=9, jobs=9, source="RQ's own records")
    outcome = replace(outcome_of(left(0), expectations=(expect("queue_depth", "<", 10.0),)), far_side=far)
    found = [notice.text for notice in notices(outcome) if notice.code == "none-completed"]
    assert [text.split(";")[0] for text in found] == said * [
        f"no job was completed: {in_flight} job{'s were' if in_flight > 1 else ' was'} with workers when the watch was "
        "over"
    ]
    assert all(text in summary(outcome) for text in found)
