"""From a scenario file to the profile that keeps it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plg.diagnostics import ScenarioError
from plg.language.files import packed
from plg.language.load import load_source, read_source
from plg.language.source import Source
from plg.store.base import Draft


def draft_of(
    file: Path,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    secret: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Draft:
    """The profile of a scenario file, with the tables and recordings it reads. Raises `ScenarioError` for its faults.

    What is not given is taken from the scenario: its name, description, tags and metadata.
    """
    source = read_source(file)
    check_source(source, environ)
    document = source.document
    own = document.get("metadata")
    return Draft(
        name=name or str(document.get("name", file.stem)),
        scenario=document,
        description=description if description is not None else _text(document.get("description")),
        tags=tuple(dict.fromkeys([*_words(document.get("tags")), *tags])),
        metadata={**(own if isinstance(own, dict) else {}), **(metadata or {})},
        files=packed(document, source.folder),
        secret=tuple(secret),
    )


def check_source(source: Source, environ: Mapping[str, str] | None = None) -> None:
    """Raise `ScenarioError` where the scenario could never run; a variable that is not set here is no such fault."""
    try:
        load_source(source, environ=os.environ if environ is None else environ, sends=False)
    except ScenarioError as error:
        if any(fault.code != "unset-variable" for fault in error.diagnostics if fault.severity == "error"):
            raise


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _words(value: Any) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
