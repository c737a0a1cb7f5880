"""The files that a document names: data tables, with the templates that draw from them, and recorded curves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from plg.diagnostics import Fault, Path
from plg.language import payload
from plg.language.document import each_job, walk
from plg.language.files import Files
from plg.language.kinds import fault_of, show
from plg.language.source import Document
from plg.language.tables import DataError, Table
from plg.language.vocabulary import CONTENTS
from plg.recordings import RecordingError


def file_fault(name: Any, folder: FilePath) -> Fault | None:
    """What is wrong where ``name`` is no file inside ``folder``."""
    if not isinstance(name, str):
        return None
    if fault_of("file", name) is not None:
        return Fault("missing-file", f"no file can be named {show(name)}")
    parts = FilePath(name).parts
    if FilePath(name).is_absolute() or ".." in parts or "\\" in name or name.startswith("~"):
        help = "keep the file beside the scenario and give its path from there"
        return Fault("file-outside", f"{show(name)} leads out of the scenario's folder", help=help)
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            message = f"{show(name)} leads out of the scenario's folder"
            return Fault("file-outside", message, help="it is a link to elsewhere")
        if not path.is_file():
            return Fault("missing-file", f"there is no file {show(name)}", help=f"it is looked for in {folder}")
    except (OSError, ValueError, RuntimeError):
        return Fault("missing-file", f"{show(name)} cannot be opened")
    return None


def check_data(document: Document, files: Files) -> Iterator[Fault]:
    """What is wrong with data files, and the templates that draw from them."""
    # ${param.NAME} is filled in with the params; where one is left, its param has been blamed.
    tables: dict[str, Table | None] = {"param": None}
    data = document.get("data")
    for name, file in (data if isinstance(data, dict) else {}).items():
        path: Path = ("data", name)
        tables[name] = None
        if not isinstance(file, str):
            continue
        if files.folder is None:
            yield Fault("missing-file", "a document that did not come from a file cannot use data files", path)
            continue
        if name in ("param", *payload.NAMES):
            yield Fault("bad-name", f"{name!r} means something else in a template", path, at_key=True)
        fault = file_fault(file, files.folder)
        if fault is not None:
            yield fault.at(path)
            continue
        try:
            tables[name] = files.table(file)
        except DataError as error:
            yield Fault("bad-data", str(error), path)
    for job_path, job in each_job(document):
        held = [fault for name in CONTENTS for fault in payload.faults_of(job.get(name), tables, (*job_path, name))]
        for where, bad in held:
            yield Fault(bad.code, str(bad), where, bad.help, offsets=(bad.start, bad.end))


def check_replays(pattern: Any, files: Files) -> Iterator[Fault]:
    """What is wrong with the files that phases replay."""
    for path, phase in walk(pattern):
        if phase.get("type") != "replay" or not isinstance(phase.get("file"), str):
            continue
        if files.folder is None:
            message = "a document that did not come from a file cannot replay one"
            yield Fault("missing-file", message, (*path, "file"))
            continue
        fault = file_fault(phase["file"], files.folder) or _recording_fault(phase["file"], files)
        if fault is not None:
            yield fault.at((*path, "file"))


def _recording_fault(name: str, files: Files) -> Fault | None:
    """What is wrong with a recorded curve."""
    try:
        files.recordings.rows(name)
    except RecordingError as error:
        return Fault("bad-data", f"{name}: {error}")
    return None
