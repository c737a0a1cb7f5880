"""The files that one document names, each read once."""

from __future__ import annotations

import base64
from pathlib import Path as FilePath
from typing import Any

from plg.language.document import walk
from plg.language.tables import Table, read_table
from plg.recordings import Recordings


class Files:
    """What is in the files of a document: what was checked is what is run, whatever becomes of a file meanwhile.

    ``folder`` is where they lie; None for a document that came without one and may use none.
    """

    def __init__(self, folder: FilePath | None) -> None:
        self.folder = folder
        self.recordings = Recordings(folder or FilePath())
        self._tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        """The table in a file of the folder. Raises `DataError`."""
        if name not in self._tables:
            self._tables[name] = read_table((self.folder or FilePath()) / name)
        return self._tables[name]


def packed(document: dict[str, Any], folder: FilePath | None) -> dict[str, str]:
    """The files in ``folder`` that a document names (base64), by name, for a place that cannot reach it."""
    if folder is None:
        return {}
    data = document.get("data")
    names = [name for name in (data.values() if isinstance(data, dict) else ()) if isinstance(name, str)]
    names += [phase["file"] for _, phase in walk(document.get("pattern")) if isinstance(phase.get("file"), str)]
    found = {name: folder / name for name in names}
    return {name: base64.b64encode(path.read_bytes()).decode() for name, path in found.items() if path.is_file()}
