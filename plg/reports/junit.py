"""JUnit XML as Jenkins, GitLab and the GitHub actions read it: one suite a scenario, one case an expectation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from plg.dataclass import dataclass
from plg.diagnostics import ScenarioError
from plg.escaping import visible
from plg.measures import ON_LATENCY
from plg.notices import notices
from plg.outcome import ExpectationResult, Notice, Outcome
from plg.reports import wording
from plg.reports.repository import from_root
from plg.reports.suites import unique

if TYPE_CHECKING:
    from junit_xml import TestCase, TestSuite  # type: ignore[import-untyped]  # junit-xml ships no types


_NOT_THE_FILE = ("interrupted", "internal-error", "not-finished", "not-written", "usage")
"""Codes of why a scenario came to no outcome that is not the fault of its file."""


@dataclass(frozen=True, slots=True)
class InvalidScenario:
    """A scenario that was refused, or never came to run. ``rendered`` is the text a terminal would have shown."""

    name: str
    error: ScenarioError
    rendered: str = ""


def junit(
    runs: Sequence[Outcome | InvalidScenario],
    attachments: Mapping[str, str] | None = None,
    roots: Sequence[Path] | None = None,
) -> str:
    """The document for all ``runs``, in their order. ``attachments`` maps a run id to the path of its HTML report.

    Files are named from the root of their repository, where ``roots`` are given: see `from_root`.

    The run's duration is shared equally among its cases, so that a tool which adds them up shows the real duration.
    """
    if not runs:
        raise ValueError("a JUnit document needs at least one run")
    names = unique([_line(run.name) or "unnamed" for run in runs])
    paths = attachments or {}
    suites = [
        _suite(run, name, paths.get(run.run_id)) if isinstance(run, Outcome) else _invalid_suite(run, name)
        for run, name in zip(runs, names, strict=True)
    ]
    named: dict[str | None, str | None] = {}
    for case in (case for suite in suites for case in suite.test_cases):
        if case.file not in named:
            named[case.file] = from_root(case.file, roots)
        case.file = named[case.file]
    return _document(suites, runs)


def _suite(outcome: Outcome, name: str, attachment: str | None) -> TestSuite:
    from junit_xml import TestSuite

    cases = [_expectation_case(result, name) for result in outcome.expectations]
    cases += [_guardrail_case(outcome, name), _ledger_case(outcome, name)]
    if trouble := _trouble(outcome, cases):
        cases.insert(0, trouble(name))
    cases = [*(_notice_case(notice, name) for notice in notices(outcome)), *cases]
    titles = unique([case.name for case in cases])
    for case, title in zip(cases, titles, strict=True):
        case.name = title
        case.elapsed_sec = outcome.duration_s / len(cases)
        case.file = case.file or _optional(outcome.scenario_file)
        if attachment and (case.is_failure() or case.is_error() or case.name == "ledger"):
            case.stdout = "\n".join(filter(None, [case.stdout, f"[[ATTACHMENT|{_legal(attachment)}]]"]))
    return TestSuite(name, cases, timestamp=outcome.started_at[:19], properties=_properties(outcome))


def _notice_case(notice: Notice, suite: str) -> TestCase:
    """Skipped, so that it is seen and neither passes nor fails."""
    case = _case(notice.title, suite)
    case.add_skipped_info(_line(notice.text))
    return case


def _properties(outcome: Outcome) -> dict[str, str]:
    ledger = outcome.ledger
    return {
        "run_id": _legal(outcome.run_id),
        "seed": "" if outcome.seed is None else str(outcome.seed),
        "plg_version": outcome.plg_version,
        "target": _legal(wording.target_text(outcome)),
        "planned": str(ledger.planned),
        "sent": str(ledger.sent),
        "acked": str(ledger.acked),
        "deviation": "" if outcome.deviation is None else f"{outcome.deviation:.6g}",
        "scenario_hash": outcome.scenario_hash,
        "verdict": outcome.verdict,
        "exit_code": str(outcome.exit_code),
        **{f"shard_{shard.part}": _legal(wording.shard_sentence(outcome, shard)) for shard in outcome.shards},
    }


def _expectation_case(result: ExpectationResult, suite: str) -> TestCase:
    case = _case(_line(result.text) or "unnamed", suite, file=result.file, line=result.line)
    note = ON_LATENCY if wording.speaks_of_latency([result]) else ""
    told = _legal("\n".join(filter(None, [_observation(result), result.detail, wording.margin_text(result), note])))
    if result.verdict == "pass":
        case.stdout = told
    elif result.level == "warn":
        case.stdout = f"WARNING: {_legal(wording.breach(result))}\n{told}"
    elif result.verdict == "fail":
        case.add_failure_info(_line(wording.breach(result)), _full_text(result), "expectation")
    else:
        case.add_error_info(_line(wording.breach(result)), _full_text(result), "no-data")
    return case


def _observation(result: ExpectationResult) -> str:
    return f"observed {wording.quantity(result.observed, result.unit)}" if result.observed is not None else ""


def _full_text(result: ExpectationResult) -> str:
    """Message and context together: GitLab shows only the text of a failure, others only its message."""
    place = f"at {result.file}:{result.line}" if result.file and result.line else ""
    stopped = "the run was stopped at this breach" if result.stopped else ""
    detail = "" if result.verdict == "no_data" else result.detail
    return _legal("\n".join(filter(None, [result.text, wording.breach(result), detail, stopped, place])))


def _guardrail_case(outcome: Outcome, suite: str) -> TestCase:
    case = _case("guardrails", suite)
    told = "\n".join(wording.hit_sentence(hit) for hit in outcome.guardrail_hits[:50])
    more = len(outcome.guardrail_hits) - 50
    told = _legal(told + (f"\nand {more} more" if more > 0 else "")) or "no guardrail acted"
    stops = [hit for hit in outcome.guardrail_hits if hit.action == "stop"]
    if stops or outcome.verdict == "stopped":
        message = wording.hit_sentence(stops[0]) if stops else outcome.reason
        case.add_error_info(_line(message), f"{_legal(outcome.reason)}\n{told}", "guardrail")
    else:
        case.stdout = told
    return case


def _ledger_case(outcome: Outcome, suite: str) -> TestCase:
    case = _case("ledger", suite)
    told = "\n".join([wording.ledger_sentence(outcome.ledger), *wording.far_lines(outcome), *wording.remarks(outcome)])
    if missing := outcome.ledger.imbalance():
        message = f"the ledger does not add up: {wording.plural(missing, 'job')} unaccounted for"
        case.add_error_info(message, _legal(f"{message}\n{told}"), "ledger")
    else:
        case.stdout = _legal(told)
    return case


def _trouble(outcome: Outcome, cases: Sequence[TestCase]) -> Any:
    """A maker of the ``run`` case where the run as a whole went wrong; None where another case says so already.

    Whatever its cause, an exit code other than 0 never leaves a document without a failing case.
    """
    told = outcome.verdict in ("pass", "fail", "stopped") and (
        outcome.exit_code == 0 or any(case.is_failure() or case.is_error() for case in cases)
    )
    if told:
        return None

    def make(suite: str) -> TestCase:
        case = _case("run", suite)
        errors = "\n".join(f"{text} ({wording.plural(times, 'time')})" for text, times in outcome.errors)
        stalls = wording.stalls_sentence(outcome.recording)
        full = "\n".join(filter(None, [outcome.reason, stalls, outcome.recording.stop_detail, errors]))
        case.add_error_info(_line(outcome.reason) or outcome.verdict, _legal(full), outcome.verdict)
        return case

    return make


def _invalid_suite(invalid: InvalidScenario, name: str) -> TestSuite:
    from junit_xml import TestSuite

    first = invalid.error.diagnostics[0] if invalid.error.diagnostics else None
    line = first.span.line if first and first.span else None
    kind = first.code if first and first.code in _NOT_THE_FILE else "invalid-scenario"
    title = "scenario is valid" if kind == "invalid-scenario" else "run"
    case = _case(title, name, file=first.file if first else None, line=line)
    more = len(invalid.error.diagnostics) - 1
    message = f"{first.code}: {first.message}" if first else str(invalid.error) or "the scenario is invalid"
    listed = "\n".join(f"{d.file}: {d.code}: {d.message}" for d in invalid.error.diagnostics)
    case.add_error_info(
        _line(message) + (f" (and {more} more)" if more > 0 else ""),
        _legal(invalid.rendered or listed or message),
        kind,
    )
    return TestSuite(name, [case])


def _case(name: str, suite: str, file: str | None = None, line: int | None = None) -> TestCase:
    from junit_xml import TestCase

    return TestCase(name, suite, file=_optional(file), line=line)


def _document(suites: Sequence[TestSuite], runs: Sequence[Outcome | InvalidScenario]) -> str:
    """The library's XML, mended where it breaks the schemas: no ``disabled``, three decimals, time that adds up."""
    from junit_xml import to_xml_report_string

    root = ElementTree.fromstring(to_xml_report_string(suites, prettyprint=False))
    total = 0.0
    for element, run in zip(root.iter("testsuite"), runs, strict=True):
        duration = run.duration_s if isinstance(run, Outcome) else 0.0
        total += duration
        element.set("time", f"{duration:.3f}")
        element.attrib.pop("disabled", None)
        for case in element.iter("testcase"):
            case.set("time", f"{float(case.get('time', '0')):.3f}")
    root.attrib.pop("disabled", None)
    root.attrib.update(name="plg", time=f"{total:.3f}")
    ElementTree.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(root, encoding="unicode") + "\n"


def _legal(text: str) -> str:
    """``text`` with every character XML 1.0 forbids, or a reader would obey, written out."""
    return visible(text.replace("\r\n", "\n").replace("\r", "\n"), "\n\t")


def _line(text: str) -> str:
    return " ".join(_legal(text).split())


def _optional(text: str | None) -> str | None:
    return None if text is None else _legal(text)
