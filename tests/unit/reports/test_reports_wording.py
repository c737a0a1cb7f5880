from __future__ import annotations

from dataclasses import replace

import pytest
from support.report_samples import expectation

from plg.guardrails.guard import Hit
from plg.reports import wording


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "—"), (0.312, "s", "312ms"), (450.0, "jobs/s", "450/s"), (0.073, "fraction", "7.3%"),
        (512e6, "bytes", "512MB"), (12_345.0, "jobs", "12,345"), (0.5, "jobs", "0.50"),
    ],
)  # fmt: skip
def test_quantities_are_written_in_their_unit(value: float | None, unit: str, text: str) -> None:
    assert wording.quantity(value, unit) == text


def test_a_breach_names_bound_observation_moment_and_phase() -> None:
    result = expectation(
        "deviation < 5%", "fail", 0.073, 0.05, "fraction", first_breach_s=12.4, first_breach_phase="stampede"
    )
    assert wording.breach(result) == "expected < 5%, observed 7.3%, first breach at 12.4s in stampede"


def test_a_relative_bound_is_followed_by_what_it_came_to() -> None:
    text = "p95(latency) during calm <= 1.2 * p95(latency) during doors"
    result = expectation(text, "fail", 0.02, 0.012, "s")
    assert wording.breach(result) == "expected <= 1.2 * p95(latency) during doors (12ms), observed 20ms"


def test_no_data_says_why() -> None:
    result = expectation("p99(lag) < 5ms or stop", "no_data", None, 0.005, "s", detail="no lag samples in crowd")
    assert wording.breach(result) == "expected < 5ms, no data: no lag samples in crowd"


@pytest.mark.parametrize(
    ("text", "observed", "bound", "margin", "words"),
    [
        ("errors < 10", 5.0, 10.0, 0.5, "50% to spare"),
        ("errors < 10", 15.0, 10.0, -0.5, "50% beyond"),
        ("throughput >= 100/s", 150.0, 100.0, 0.5, "50% to spare"),
        ("throughput >= 100/s", 90.0, 100.0, -0.1, "10% short"),
        ("throughput >= 100/s", 98.0, 100.0, -0.02, "2% short"),
        ("throughput >= 100/s", 0.0, 100.0, -1.0, "100% short"),
        ("throughput >= 100/s", 0.2, 100.0, -0.998, "over 99% short"),
        ("throughput >= 1/s", 500.0, 1.0, 499.0, "500 x the minimum"),
        ("errors < 10", 19.4, 10.0, -0.94, "94% beyond"),
        ("errors < 10", 21.4, 10.0, -1.14, "2.1 x the limit"),
        ("errors < 10", 120.0, 10.0, -11.0, "12 x the limit"),
        ("errors < 10", 100_480.0, 10.0, -10_047.0, "10,048 x the limit"),
        ("max(latency) < 0.000001ms", 4.0, 1e-9, -4e9, "over a million x the limit"),
        ("errors < 10000", 10_001.0, 10_000.0, -0.0001, "under 0.1% beyond"),
        ("errors < 10000", 9_999.0, 10_000.0, 0.0001, "under 0.1% to spare"),
        ("drain_time < 30s", 0.08, 30.0, 1 - 0.08 / 30, "over 99% to spare"),
        ("errors < 10", 0.0, 10.0, 1.0, "100% to spare"),
        ("errors <= 10", 10.0, 10.0, 0.0, "at the limit"),
        ("errors == 0", 3.0, 0.0, None, ""),
        ("errors <= 0", 3.0, 0.0, None, ""),
        ("acked != 7", 7.0, 7.0, None, ""),
    ],
)
def test_margins(text: str, observed: float, bound: float, margin: float | None, words: str) -> None:
    result = expectation(text, "pass", observed, bound, "jobs")
    found = wording.margin(result)
    assert found == (None if margin is None else pytest.approx(margin))
    assert wording.margin_text(result) == words


def test_marks_and_words_agree() -> None:
    made = [
        expectation(text, verdict, 1.0, 1.0, "jobs")
        for text in ("errors < 1", "warn errors < 1")
        for verdict in ("pass", "fail", "no_data")
    ]
    assert [wording.mark(result) for result in made] == ["✓", "✗", "?", "✓", "!", "!"]
    assert [wording.word(r) for r in made] == ["PASS", "FAIL", "NO DATA", "PASS", "WARN (fail)", "WARN (no data)"]


def test_a_long_reason_that_lines_share_is_said_once() -> None:
    long, other = "140 jobs of 140 had not ended when the watch was over", "nothing sent"
    given = [("a == 0", long), ("b == 0", other), ("c == 0", long), ("d == 0", other), ("e == 0", long)]
    made = [replace(expectation("errors < 1", "no_data", None, 1.0, "jobs"), text=t, detail=why) for t, why in given]
    assert wording.reasons(made) == [long, other, "as for a == 0", other, "as for a == 0"]
    failed = [replace(result, verdict="fail") for result in made]
    assert wording.reasons(failed) == [why for _, why in given]


@pytest.mark.parametrize(
    ("hit", "text"),
    [
        (Hit("max_rate", 10, 10.5, 450, 400, "clip"), "max_rate clipped from 10s to 10.5s: 450/s asked, 400/s allowed"),
        (Hit("max_cpu", 3, 3, 0.91, 0.8, "warn"), "max_cpu warned at 3s: 91% seen, 80% allowed"),
        (Hit("max_cpu", 3, 4, 0.91, 0.8, "observe"), "max_cpu was passed from 3s to 4s: 91% seen, 80% allowed"),
        (Hit("max_memory", 3, 3, 6e8, 5e8, "stop"), "max_memory stopped the run at 3s: 600MB seen, 500MB allowed"),
        (Hit("max_total_jobs", 3, 3, 10, 5, "stop"), "max_total_jobs stopped the run at 3s: 10 asked, 5 allowed"),
        (
            Hit("max_queue_depth", 11.2, 11.2, 50210, 50000, "stop", 0.0841),
            "max_queue_depth stopped the run at 11.2s, 84.1ms after the last reading within the limit:"
            " 50,210 seen, 50,000 allowed",
        ),
        (
            Hit("max_memory", 0.12, 0.12, 6e8, 5e8, "stop", 0.12),
            "max_memory stopped the run at 120ms, at the first reading of the run: 600MB seen, 500MB allowed",
        ),
        (
            Hit("max_total_jobs", 3, 3, 10, 5, "stop", 0.0),
            "max_total_jobs stopped the run at 3s, before a job over the limit was sent: 10 asked, 5 allowed",
        ),
        (
            Hit("max_error_rate", 3, 3.2, 0.06, 0.05, "stop", 0.0),
            "max_error_rate stopped the run at 3s, at the answer that passed the limit: 6% seen, 5% allowed",
        ),
        (
            Hit("max_error_rate", 3, 3, 0.06, 0.05, "stop", 0.03),
            "max_error_rate stopped the run at 3s, 30ms after the last reading within the limit: 6% seen, 5% allowed",
        ),
        (Hit("max_total_jobs", 2, 3, 5, 5, "warn"), "max_total_jobs warned from 2s to 3s: 5 seen, 5 allowed"),
    ],
)
def test_hits_are_told_in_the_guardrails_own_unit(hit: Hit, text: str) -> None:
    assert wording.hit_sentence(hit) == text


@pytest.mark.parametrize(
    ("text", "unit", "bound", "asked"),
    [
        ("throughput > 2 * throughput during a", "jobs/s", 100.0, "> 2 * throughput during a (100/s)"),
        ("acked during b >= acked during a", "jobs", 50.0, ">= acked during a (50)"),
        ("p95(lag) <= p95(lag) during a in every 1s", "s", 0.1, "<= p95(lag) during a in every 1s (100ms)"),
        ('acked == 3 during "peak (hour)"', "jobs", 3.0, '== 3 during "peak (hour)"'),
        ("acked > 2_000 in 90% of 1s", "jobs", 2000.0, "> 2_000 in 90% of 1s"),
        ("p99(latency) < 1.5ms during a", "s", 0.0015, "< 1.5ms during a"),
        ("throughput > 400/s", "jobs/s", 400.0, "> 400/s"),
        ("p99(latency) < 250 µs", "s", 0.00025, "< 250 µs"),
        ("deviation < 1e-3%", "fraction", 1e-5, "< 1e-3%"),
        ("acked >= 1e+3", "jobs", 1000.0, ">= 1e+3"),
        ('p99(latency) during "x < y" < 1s or stop', "s", 1.0, "< 1s"),
        ('errors during "q == 1" == 0', "jobs", 0.0, "== 0"),
        ('lag during "a < b" < 1.5 * lag during "c < d"', "s", 1.0, '< 1.5 * lag during "c < d" (1s)'),
        ("drain_time < 1m30s", "s", 90.0, "< 1m30s"),
        ("memory < 1e3MB or stop", "bytes", 1e9, "< 1e3MB"),
    ],
)
def test_only_a_bound_that_refers_to_a_measure_is_followed_by_its_figure(
    text: str, unit: str, bound: float, asked: str
) -> None:
    op = asked.split(" ", 1)[0]
    assert wording.condition(replace(expectation(text, "fail", 1.0, bound, unit), op=op)) == asked
