"""From a scenario file to the profile that keeps it."""

from __future__ import annotations

import base64
import binascii
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plg.diagnostics import ScenarioError
from plg.language.files import packed
from plg.language.load import load_source, read_source, read_text
from plg.language.source import Source
from plg.store.base import Draft
from plg.store.errors import BadValue


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


def check_draft(draft: Draft, environ: Mapping[str, str] | None = None) -> None:
    """As `check_source`, for a profile that came from elsewhere; it may use the files that came with it alone."""
    with tempfile.TemporaryDirectory(prefix="plg-profile-") as folder:
        for name, content in draft.files.items():
            place = Path(folder, name)
            if not place.resolve().is_relative_to(Path(folder).resolve()):
                raise BadValue(f"a profile cannot bring a file that is called {name!r}")
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                place.write_bytes(base64.b64decode(content, validate=True))
            except (binascii.Error, ValueError):
                raise BadValue(f"the file {name!r} of the profile is no base64") from None
        # As it would be read from a file: the wording and the bounds are those of a scenario.
        source = read_text(json.dumps(draft.scenario), f"profile {draft.name}", ".json", Path(folder))
        check_source(source, environ)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _words(value: Any) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
