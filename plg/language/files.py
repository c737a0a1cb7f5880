"""The files that one document names, each read once."""

from __future__ import annotations

from pathlib import Path as FilePath

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
