"""Outcomes with one value changed, lost or of another kind: every command reads them or refuses them in words."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.checked import plg

from plg.diagnostics import ScenarioError
from plg.judge import rejudge
from plg.judge.saved_lines import lines_of, read_lines
from plg.judge.shards import merge_outcomes
from plg.language.write import write_yaml
from plg.outcome import Outcome
from plg.outcome_io import from_json, to_json
from plg.reports import terminal
from plg.reports.github import annotate
from plg.reports.html import html
from plg.reports.junit import junit
from plg.reports.markdown import markdown

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs an alarm against what never ends")
SCENARIO = """scenario "s" {
  description "about" tags a, b
  job a { queue "q" payload { a: "x" } }
  workers 2 each 1ms
  traffic { calm: steady 50/s over 200ms then jump: steady 200/s over 100ms }
  guardrails { max_rate 150/s max_total_jobs 200 max_duration 2m max_queue_depth 1_000 max_error_rate 5% over 1s }
  expect {
    errors == 0
    p50(latency) during jump < 1s
    throughput > 1/s in 80% of 100ms
  }
}
"""
GONE = object()
VALUES: tuple[Any, ...] = (
    GONE, None, True, False, "", "x", "-1", "\ud800", [], {}, [None], {"a": 1}, -1, -0.0, 0, 0.5, 20.0, 1000, 1e-320,
    1e-9, 1e15, 1e308, -1e308, 10**400, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
PATIENCE = 5
"""Seconds for one reading or report; each takes milliseconds."""
REFUSALS = {
    "broken-outcome",
    "outcome-version",
    "bad-expectation",
    "different-run",
    "not-a-shard",
    "same-shard",
    "missing-shard",
}
"""What may be said of an outcome that is damaged, or that has become another one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, two shards and what they were merged to."""
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "s.plg").write_text(SCENARIO)
    for more in ([], ["--shard", "1/2", "--run-id", "r"], ["--shard", "2/2", "--run-id", "r"]):
        done = plg("check", "s.plg", "--quiet", *more, cwd=folder)
        assert done.code in (0, 3, 5), done.said
    shards = [f"plg-report/s.shard-{part}-of-2.outcome.json" for part in (1, 2)]
    assert plg("merge", *shards, "--out", "merged", cwd=folder).code in (0, 3, 5)
    return folder


@pytest.fixture(scope="module")
def documents(folder: Path) -> dict[str, Any]:
    names = {"whole": "plg-report/s", "shard": "plg-report/s.shard-1-of-2", "merged": "merged/s"}
    return {kind: json.loads((folder / f"{name}.outcome.json").read_text()) for kind, name in names.items()}


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, of a long list the first three and the last."""
    children = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    for key, child in children if isinstance(node, dict) else [*children[:3], *children[3:][-1:]]:
        yield (*path, key)
        yield from places(child, (*path, key))


def damaged(document: Any, path: tuple[Any, ...], value: Any) -> str:
    changed = copy.deepcopy(document)
    owner = changed
    for step in path[:-1]:
        owner = owner[step]
    if value is GONE:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return json.dumps(changed)


def use(kind: str, text: str, other: str) -> None:
    """Do with an outcome what judge, report, merge and check do."""
    outcome = from_json(text)
    assert isinstance(outcome, Outcome)
    uses = [outcome]
    if kind == "shard":
        uses.append(merge_outcomes([outcome, from_json(other)], ["one", "two"]))
    else:
        uses.append(rejudge(outcome, read_lines(lines_of(outcome), list(outcome.recording.spans), "one")))
    for each in uses:
        terminal.summary(each, colour=True, ascii_only=False)
        junit([each])
        markdown([each])
        annotate(each, None)
        html([each])
        to_json(each)
        write_yaml(dict(each.scenario))


def tell(kind: str, document: Any, path: tuple[Any, ...], value: Any, other: str) -> str | None:
    """What went wrong with one damaged outcome; None where it was read or refused."""

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    try:
        use(kind, damaged(document, path, value), other)
    except ScenarioError as refused:
        signal.alarm(0)
        said = [fault.code for fault in refused.diagnostics]
        return None if REFUSALS.issuperset(said) else f"{path} {value!r:.20}: {said}"
    except Exception as fault:
        return f"{kind} {path} {'GONE' if value is GONE else repr(value)[:20]}: {type(fault).__name__}: {fault}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return None


def faults(folder: Path, documents: dict[str, Any], sample: float) -> list[str]:
    other = (folder / "plg-report/s.shard-2-of-2.outcome.json").read_text()
    choice = random.Random(9)
    found = []
    for kind, document in documents.items():
        for path in places(document):
            for value in VALUES:
                if choice.random() < sample:
                    found.append(tell(kind, document, path, value, other))
    assert len(found) > 100
    return [fault for fault in found if fault]


def test_a_damaged_value_is_read_or_refused(folder: Path, documents: dict[str, Any]) -> None:
    """`DAMAGED` is the share of all damages that is tried, 0.005 without it: all of them take a quarter of an hour."""
    assert faults(folder, documents, float(os.environ.get("DAMAGED", "0.005"))) == []


COMMANDS = [
    ("judge", "whole", ("ledger", "late"), 0.0, 3),
    ("judge", "whole", ("expectations", 0, "line"), 7.0, 3),
    ("judge", "whole", ("ledger", "late"), 0.5, 2),
    ("report", "whole", ("plan", "phases", 0, "name"), GONE, 2),
    ("report", "whole", ("series", "t_s", 0), float("nan"), 2),
    ("report", "whole", ("series", "t_s", 0), 1e308, 2),
    ("report", "whole", ("recording", "duration"), 1e-320, 2),
    ("report", "whole", ("scenario", "guardrails", "max_rate"), 10**400, 2),
    ("report", "whole", ("scenario", "tags"), 5, 2),
    ("merge", "shard", ("scenario", "expect", 0), True, 2),
    ("merge", "shard", ("plan", "phases", 0, "duration_s"), GONE, 2),
]


@pytest.mark.parametrize(("command", "kind", "path", "value", "code"), COMMANDS)
def test_the_commands_refuse_damage(
    folder: Path, documents: dict[str, Any], command: str, kind: str, path: tuple[Any, ...], value: Any, code: int
) -> None:
    (folder / "c.json").write_text(damaged(documents[kind], path, value))
    more = {"report": ["--html", "c.html"], "merge": ["plg-report/s.shard-2-of-2.outcome.json", "--out", "m"]}
    done = plg(command, "c.json", *more.get(command, []), cwd=folder)
    if code == 2:
        assert done.code == 2, done.said
        assert "broken-outcome" in done.said
    else:
        whole = plg(command, "plg-report/s.outcome.json", cwd=folder)
        assert done.code == whole.code, done.said
        assert done.out == whole.out
