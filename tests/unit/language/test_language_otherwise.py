"""What people bring along from other tools: one message a slip, with what to write, and the rest is read as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from plg.language import otherwise
from plg.language.load import lint
from plg.language.vocabulary import CLAUSES, PHASES
from plg.units import DURATION_UNITS

SCENARIO = """scenario "s" {
  job a { queue "q" }
  traffic {
    calm: steady 10/s over 5s
    then rush: ramp 10/s -> 50/s over 5s
  }
  guardrails { max_rate 100/s max_total_jobs 1_000 max_duration 1m }
  expect {
    p95(latency) < 5ms during calm
  }
}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "under", "help"),
    [
        ("calm: steady", "calm steady", "calm", "write calm: steady …"),
        ("over 5s", "for 5s", "for 5s", "did you mean `over`?"),
        ("over 5s", "during 5s", "during", None),
        ("over 5s", "over 5 sec", "5", "write 5s"),
        ("over 5s", "over 5 min", "5", "write 5m"),
        ("over 5s", "over 5minutes", "5minutes", "write 5m"),
        ("steady 10/s", "constant 10/s", "constant", "did you mean `steady`?"),
        ("steady 10/s over 5s", "wait 5s", "wait", "did you mean `pause`?"),
        ("steady 10/s", "steady 10rps", "10rps", "write 10/s"),
        ("steady 10/s", "steady 10Hz", "10Hz", "write 10/s"),
        ("steady 10/s", "steady 600/min", "600/min", "write 600/m"),
        ("steady 10/s", "steady 10 jobs/s", "10 jobs/s", "write 10/s"),
        ("-> 50/s", "to 50/s", "to 50/s", "did you mean `->`?"),
        ("-> 50/s", "- 50/s", "-", "write `->`"),
        ("-> 50/s", "=> 50/s", "=>", "write `->`"),
        ("-> 50/s", "\u2013 50/s", "\u2013", "write `->`"),
        ("ramp 10/s", "ramp from 10/s", "from", "such as: ramp 10/s -> 200/s over 4s"),
        ('queue "q"', "queue q", "q", 'this scenario has no params; a text stands in double quotes: "q"'),
        ('queue "q"', "queue 'q'", "'q'", 'write "q"'),
        ('queue "q"', "queue \u201cq\u201d", "\u201cq\u201d", 'write "q"'),
        ('queue "q"', 'queue "q', '"q }', 'close it with ", on the same line; \\n stands for a new line'),
        ('queue "q"', 'queue "q\\x"', "\\x", None),
        ("guardrails {", "limits {", "limits", "did you mean `guardrails`?"),
        ("traffic {", "load {", "load", "did you mean `traffic`?"),
        ("expect {", "thresholds {", "thresholds", "did you mean `expect`?"),
        ("max_rate 100/s", "max_rate 100 jobs/s", "100 jobs/s", "write 100/s"),
        ("1_000", "1k", "1k", "write 1_000"),
        ("1m }", "1min }", "1min", "write 1m"),
        ("  traffic", "  target redis://h:1\n  traffic", "redis://h:1", 'write "redis://h:1"'),
        ("  traffic", "  target evn REDIS_URL\n  traffic", "evn", "did you mean `env`?"),
        ("  traffic", "  param p = enviroment PATH\n  traffic", "enviroment", "did you mean `env`?"),
        ("  traffic", "  // note\n  traffic", "/", "a comment begins with #"),
        ("  traffic", "  seed 7\n  traffic", "seed", "it stands with the traffic: traffic seed 7 { … }"),
        ("  traffic", "  workers 1\n  traffic", "traffic", "such as: workers 4 each 50ms"),
        ("  traffic", "  param p =\n  traffic", "traffic", ""),
        ("scenario \"s\"", "scenario s t", "t", "a name with a blank in it stands in double quotes"),
        ("< 5ms", "=< 5ms", "=<", "did you mean `<=`?"),
        ("< 5ms", "is below 5ms", "is", "did you mean `<`?"),
        ("p95(latency)", "95th(latency)", "95th", "did you mean `p95`?"),
        ("p95(latency) < 5ms", "5ms > p95(latency)", "5ms", "the measure stands first, as in p95(latency) < 5ms"),
        ("p95(latency) < 5ms", "errors < 1%", "1%", "error_rate is their percentage"),
        ("during calm", "in calm", "in calm", None),
        ("during calm", "during calm and rush", "and rush", "write a line for each phase"),
        ("during calm", "during calm, rush", ", rush", "write a line for each phase"),
        ("during calm", "and errors == 0", "and", "each line is true or not for itself: leave it out"),
        ("during calm", "&& errors == 0", "&&", "each line is true or not for itself: leave it out"),
        ("during calm", "< 6ms", "<", "a line has one comparison: write a line for each"),
    ],
)  # fmt: skip
def test_one_message_a_slip(tmp_path: Path, right: str, wrong: str, under: str, help: str | None) -> None:
    path = tmp_path / "s.plg"
    text = SCENARIO.replace(right, wrong, 1)
    assert text != SCENARIO
    path.write_text(text)
    errors = [fault for fault in lint(path).diagnostics if fault.severity == "error"]
    told = [(fault.message, fault.help) for fault in errors]
    assert len(errors) == 1, told
    assert errors[0].span is not None
    line = text.split("\n")[errors[0].span.line - 1]
    assert line[errors[0].span.column - 1 : errors[0].span.end_column - 1] == under
    assert help is None or errors[0].help == help


def test_every_word_of_others_leads_to_one_of_the_language() -> None:
    assert set(otherwise.PHASES.values()) <= {*PHASES, "pause", "points", "repeat", "together"}
    assert set(otherwise.CLAUSES.values()) <= set(CLAUSES.values())
    assert set(otherwise.UNITS.values()) <= set(DURATION_UNITS)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10rps", "10/s"),
        ("5QPS", "5/s"),
        ("1min", "1m"),
        ("3/sec", "3/s"),
        ("1.5hours", "1.5h"),
        ("7x", ""),
        ("ms", ""),
    ],
)
def test_amounts_of_others(text: str, meant: str) -> None:
    assert otherwise.quantity(text) == meant


YAML = """name: s
jobs:
  - name: a
    queue: q
pattern:
  type: custom
  phases:
    - {name: calm, type: steady, base_rate: 10, duration: 5s}
    - {name: rush, type: ramp, start_rate: 10, end_rate: 50, duration: 5s}
guardrails: {max_rate: 100/s, max_total_jobs: 1000, max_duration: 1m}
expect:
  - p95(latency) < 5ms during calm
"""


@pytest.mark.parametrize(
    ("right", "wrong", "under", "help"),
    [
        ("type: steady", "type: constant", "constant", "did you mean steady?"),
        ("type: custom", "type: Custom", "Custom", "did you mean custom?"),
        ("base_rate", "rate", "rate", "did you mean `base_rate`?"),
        ("duration: 5s}\n    - {name: r", "over: 5s}\n    - {name: r", "over", "did you mean `duration`?"),
        ("1000", "1,000", "000", "a number is written without commas, such as 1_000"),
        ("1m}", "1min}", "1min", "write 1m"),
        ("guardrails:", "limits:", "limits", "did you mean `guardrails`?"),
        ("pattern:", "traffic:", "traffic", "did you mean `pattern`?"),
        ("during calm", "in calm", "in calm", None),
        ("  - p95", "\t- p95", "\t", "indent with blanks"),
        ("name: s", "<<: {name: s}\nname: s", "<<", "write the fields out"),
        ("queue: q", "queue: q\n    payload: {a: ${seq}}", "${", 'quote the text: "${…}"'),
        ("name: s", "name: s\nparams: {a: {env: NO_X}}", "{env: NO_X}",
         "set it, or give a value to fall back on: {env: NO_X, default: …}"),
    ],
)  # fmt: skip
def test_one_message_a_slip_in_yaml(tmp_path: Path, right: str, wrong: str, under: str, help: str | None) -> None:
    path = tmp_path / "s.yaml"
    text = YAML.replace(right, wrong, 1)
    assert text != YAML
    path.write_text(text)
    [error] = [fault for fault in lint(path).diagnostics if fault.severity == "error"]
    assert error.span is not None
    line = text.split("\n")[error.span.line - 1]
    assert line[error.span.column - 1 : error.span.end_column - 1] == under
    assert help is None or error.help == help
