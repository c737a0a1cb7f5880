"""The reports there are: a line each in `REPORTS`, which `plg check`, `plg report` and the artifacts read.

A report is made of one outcome or several, by a function that loads what it needs when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from plg.dataclass import dataclass
from plg.diagnostics import nearest

if TYPE_CHECKING:
    from plg.outcome import Outcome


class ReportUnavailable(Exception):
    """A report that cannot be made here. The message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Report:
    """One kind of report.

    ``suffix`` is what its file is called behind the scenario's name, ``make`` gives its content and raises
    `ReportUnavailable`. One that is ``shared`` is one document of all scenarios of a check, one that is ``single``
    shows one outcome only. One that is ``drawn`` is made in a process of its own (`plg.reports.render`), which loads
    Plotly; one drawn ``ahead`` has its process started before the run. ``needs`` says what must be installed for it.
    ``sign`` is a regular expression that finds plg's hand in a file whose name others might have chosen too: nothing
    else is removed.
    """

    name: str
    suffix: str
    make: Callable[[Sequence[Outcome]], str | bytes]
    about: str
    shared: bool = False
    single: bool = False
    drawn: bool = False
    ahead: bool = False
    binary: bool = False
    needs: str = ""
    sign: str = ""


def _junit(outcomes: Sequence[Outcome]) -> str:
    from plg.reports.junit import junit
    from plg.reports.repository import roots

    return junit(outcomes, roots=roots(os.environ))


def _json(outcomes: Sequence[Outcome]) -> str:
    from plg.outcome_io import to_json

    return to_json(outcomes[0])


def _yaml(outcomes: Sequence[Outcome]) -> str:
    from plg.language.write import write_yaml

    return write_yaml(dict(outcomes[0].scenario))


def _html(outcomes: Sequence[Outcome]) -> str:
    from plg.reports.html import html

    return html(outcomes)


def _markdown(outcomes: Sequence[Outcome]) -> str:
    from plg.reports.markdown import markdown

    return markdown(outcomes)


def _png(outcomes: Sequence[Outcome]) -> bytes:
    from plg.reports.png import png

    return png(outcomes[0])


REPORTS: dict[str, Report] = {
    report.name: report
    for report in (
        Report("junit", "xml", _junit, "one JUnit document of all scenarios", shared=True),
        Report("json", "outcome.json", _json, "the outcome, of which every report can be made again", single=True),
        Report("yaml", "scenario.yaml", _yaml, "the scenario that was run, with all that was applied", single=True),
        Report(
            "html", "html", _html, "a page with charts", drawn=True, ahead=True,
            sign='<meta name="generator" content="plg">',
        ),
        Report(
            "markdown", "md", _markdown, "a summary for pull requests and job logs",
            sign="^## (✅|❌|❔|⛔) .*: [A-Z ]+$",
        ),
        Report(
            "png", "png", _png, "the charts as one picture", single=True, drawn=True, binary=True,
            needs="kaleido and a browser", sign="tEXtSoftware\0plg",
        ),
    )
}  # fmt: skip
"""In the order in which they are written; what is drawn comes last."""
USUAL = ("junit", "json", "yaml", "html")
"""What `plg check` writes unless it is told."""


def named(text: str) -> tuple[str, ...]:
    """The reports of a list such as ``junit,html``, each once. The scenario goes with its outcome.

    Raises `ValueError` with a sentence.
    """
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in REPORTS:
            near = nearest(name.lower(), REPORTS)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(REPORTS)}"
            raise ValueError(f"there is no report {name!r}; {hint}")
    if "json" in asked:
        asked.append("yaml")
    return tuple(name for name in REPORTS if name in asked)
