"""What came back in time, in every report: the sentence of each line, and its chart."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from support.judged import Glance, outcome_of, record, steady

from plg.judge.outcome import rejudge
from plg.language.expectation import read_expectation
from plg.outcome import Outcome
from plg.outcome_io import from_json, to_json
from plg.reports.html import html
from plg.reports.junit import junit
from plg.reports.terminal import summary

SPANS = {"calm": ((0.0, 4.0),), "rush": ((4.0, 8.0),), "rest": ((8.0, 10.0),)}
LINES = (
    "drained within 7s after rush", "drained within 5s after rush", "workers >= 4 within 3s of rush",
    "workers >= 9 within 3s of rush", "max(queue_depth) <= 50 within 9s after rush", "queue_depth < 1_000",
)  # fmt: skip


def played(*texts: str) -> Outcome:
    """A backlog that grows from 4 s on, is deepest at 9 s and gone at 14 s; three workers more from 6 s on."""

    def depth(t: float) -> float:
        return 0 if t < 4 or t > 14 else 30 * (t - 4) if t < 9 else 30 * (14 - t)

    glances = [
        Glance(t, queue_depth=depth(t), workers=1 if t < 6 else 4, in_flight=1 if t < 6.2 else 4)
        for t in [round(k / 10, 6) for k in range(1, 161)]
    ]
    recording = record(steady(10), glances, spans=SPANS, start_depth=0, last_send_s=9.95)
    lines = tuple(line for text in texts if (line := read_expectation(text, list(SPANS))[0]) is not None)
    plan = {"duration_s": 10.0, "planned": 100, "sent_estimate": 100, "phases": [
        {"name": name, "start_s": piece[0][0], "duration_s": piece[0][1] - piece[0][0]} for name, piece in SPANS.items()
    ]}  # fmt: skip
    return outcome_of(recording, expectations=lines, plan_document=plan)


def chart(page: str, key: str) -> dict:
    found = re.search(rf'id="data-{key}"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found is not None, key
    return json.loads(found[1])


def test_every_report_has_the_sentence_of_each_line() -> None:
    outcome = played(*LINES)
    page, xml, text = html([outcome]), junit([outcome]), summary(outcome)
    for said in ("drained 6s after rush (bound 7s)", "workers came to 4 2s into rush (bound 3s)"):
        assert said in page
        assert said in xml
        assert said in text
    assert 'message="expected drained within 5s after rush, drained 6s after rush (bound 5s)"' in xml
    assert "workers had not come to" in text
    for each in (page, xml, text):
        assert "scaled up from 1 to 4 workers: a backlog began at 4".casefold() in each.casefold()


def test_the_backlog_is_drawn_with_its_slope_and_the_moment_it_was_gone() -> None:
    drawn = chart(html([played(*LINES)]), "backlog")
    traces = {trace["name"]: trace for trace in drawn["data"]}
    # By least squares 30 jobs a second from 4 s to 8 s: from the first look to the last.
    slope = [(x, y) for x, y in zip(traces["slope"]["x"], traces["slope"]["y"], strict=True) if y is not None]
    (x0, y0), (x1, y1) = slope[2:4]
    assert (y1 - y0) / (x1 - x0) == pytest.approx(30, rel=0.05)
    assert traces["came true"]["x"] == [pytest.approx(14.0)]
    assert traces["too late"]["x"] == [pytest.approx(14.0)]
    assert traces["bound 0"]["x"][0] == 8.0


def test_workers_are_drawn_with_their_bounds() -> None:
    drawn = chart(html([played(*LINES)]), "workers")
    traces = {trace["name"]: trace for trace in drawn["data"]}
    assert max(traces["workers"]["y"]) == 4
    assert (traces["bound 4"]["x"], traces["bound 4"]["y"]) == ([4.0, 7.0], [4.0, 4.0])
    assert traces["came true"]["x"] == [pytest.approx(6.0)]
    assert traces["not in time"]["x"] == [pytest.approx(7.0)]
    assert "jobs in flight" in traces


def test_other_measures_have_a_chart_of_their_own_and_runs_without_such_lines_none() -> None:
    page = html([played(*LINES)])
    assert 'data-key="recovery-16-max-queue-depth"' in page
    quiet = played("queue_depth < 1_000")
    blind = {name: column * float("nan") for name, column in quiet.recording.samples.items()}
    page = html([replace(quiet, recording=replace(quiet.recording, samples=blind), scale_up=None)])
    assert "<h2>Recovery</h2>" not in page


def test_it_is_saved_and_judged_again() -> None:
    outcome = played(*LINES)
    again = from_json(to_json(outcome))
    assert again.expectations == outcome.expectations
    assert again.scale_up == outcome.scale_up
    assert again.scale_up is not None
    line, _ = read_expectation("drained within 5s after rush", list(SPANS))
    assert line is not None
    [result] = rejudge(again, [line]).expectations
    assert (result.verdict, result.observed) == ("fail", pytest.approx(6.0))


def test_an_outcome_of_an_earlier_plg_is_read() -> None:
    saved = json.loads(to_json(played(*LINES)))
    for name in ("in_flight", "delayed", "workers"):
        del saved["recording"]["samples"][name], saved["series"][name]
    del saved["scale_up"]
    for result in saved["expectations"]:
        del result["recovery"]
    again = from_json(json.dumps(saved))
    assert [result.recovery for result in again.expectations] == [None] * len(LINES)
    assert "<h2>Recovery</h2>" not in html([again])
    line, _ = read_expectation("workers >= 1 within 1s of rush", list(SPANS))
    assert line is not None
    assert rejudge(again, [line]).expectations[0].verdict == "no_data"
