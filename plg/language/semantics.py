"""What the schema cannot say: names that are unique, numbers that fit each other, files that exist, expectations that
make sense. Works on a document whose params have been replaced; what the schema refused is passed over."""

from __future__ import annotations

from collections.abc import Iterator

from plg.diagnostics import Fault
from plg.language import expectation
from plg.language.check_amounts import check_guardrails, check_rest
from plg.language.check_files import check_data, check_replays
from plg.language.check_jobs import check_formats, check_jobs, check_moments
from plg.language.check_target import check_target
from plg.language.check_traffic import check_phases
from plg.language.document import phase_names
from plg.language.files import Files
from plg.language.source import Document


def check_meaning(document: Document, files: Files) -> list[Fault]:
    """Every fault of meaning, also in the files that the document names."""
    faults: list[Fault] = []
    faults += check_phases(document.get("pattern"))
    faults += check_jobs(document)
    faults += check_formats(document)
    faults += check_moments(document)
    faults += check_guardrails(document.get("guardrails"))
    faults += check_rest(document)
    faults += check_target(document.get("target"))
    faults += check_data(document, files)
    faults += check_replays(document.get("pattern"), files)
    faults += _expectations(document)
    return faults


def _expectations(document: Document) -> Iterator[Fault]:
    names = phase_names(document.get("pattern"))
    lines = document.get("expect")
    for index, text in enumerate(lines if isinstance(lines, list) else []):
        if not isinstance(text, str) or not text:
            continue
        _, faults = expectation.read_expectation(text, names)
        for fault in faults:
            yield fault.at(("expect", index))
