"""The runs and settings of a folder of profiles: a file a run, beside one with its outcome."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

from plg.store.base import FILTERS, Page, Run, RunQuery
from plg.store.cursors import page_size, read_cursor, write_cursor
from plg.store.errors import BadValue, Unavailable, no_run
from plg.store.folder_index import Index
from plg.store.journal import Journal

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
UNENDED = ("queued", "running", "draining")


class FolderRuns(ABC):
    """The half of a folder that keeps runs."""

    def __init__(self, home: Path, generation: Callable[[], int]) -> None:
        self._runs = Index(home / "runs", (".json",), _read, generation)
        self._runs_at, self._settings = home / "runs", home / "settings.json"

    def _prepare(self, home: Path, ignored: str) -> None:
        try:
            for folder in (home, home / "profiles", home / "versions", home / "runs"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not (home / ".gitignore").exists():
                (home / ".gitignore").write_text(ignored)
        except OSError as fault:
            raise Unavailable(f"{home.parent} cannot be opened: {(fault.strerror or str(fault)).lower()}") from None

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """A look at the folder that nobody changes meanwhile."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Journal]:
        """A change of the folder."""

    def put_run(self, run: Run, outcome: bytes | None = None) -> None:
        """See `Backend.put_run`."""
        if not _ID.fullmatch(run.id):
            raise BadValue(f"a run cannot be called {run.id!r}")
        with self.writing() as journal:
            before = _read(self._run_at(run.id))
            kept = replace(run, starred=run.starred or (before is not None and before.starred))
            files: dict[Path, bytes | None] = {self._run_at(run.id): _written(kept)}
            if outcome is not None:
                files[self._outcome_at(run.id)] = outcome
            self._change_runs(journal, files)

    def run(self, id: str) -> Run:
        """See `Backend.run`."""
        with self.reading():
            found = _read(self._run_at(id)) if _ID.fullmatch(id) else None
        if found is None:
            raise no_run(id)
        return found

    def outcome(self, id: str) -> bytes | None:
        """See `Backend.outcome`."""
        self.run(id)
        with self.reading():
            try:
                return self._outcome_at(id).read_bytes()
            except FileNotFoundError:
                return None

    def runs(self, query: RunQuery) -> Page[Run]:
        """See `Backend.runs`."""
        size, after = page_size(query.limit), read_cursor(query.cursor, 2) if query.cursor else None
        with self.reading():
            everything = list(self._runs.refresh().values())
        wanted = [(name, getattr(query, name)) for name in FILTERS if getattr(query, name)]
        found = [
            run for run in everything
            if all(getattr(run, name) == value for name, value in wanted)
            and query.starred in (None, run.starred) and (after is None or _age(run) < after)
        ]  # fmt: skip
        found.sort(key=_age, reverse=True)
        items = found[:size]
        return Page(items, write_cursor(_age(items[-1])) if len(found) > size else "")

    def star(self, id: str, starred: bool) -> None:
        """See `Backend.star`."""
        with self.writing() as journal:
            found = _read(self._run_at(id)) if _ID.fullmatch(id) else None
            if found is None:
                raise no_run(id)
            self._change_runs(journal, {self._run_at(id): _written(replace(found, starred=starred))})

    def prune(self, count: int | None, before: str | None) -> int:
        """See `Backend.prune`."""
        with self.writing() as journal:
            mortal = [run for run in self._runs.refresh().values() if not run.starred and run.status not in UNENDED]
            mortal.sort(key=_age, reverse=True)
            doomed = [
                run for place, run in enumerate(mortal)
                if (count is not None and place >= count) or (before is not None and run.started_at < before)
            ]  # fmt: skip
            files = [path for run in doomed for path in (self._run_at(run.id), self._outcome_at(run.id))]
            if files:
                self._change_runs(journal, dict.fromkeys(files))
            return len(doomed)

    def setting(self, name: str) -> str | None:
        """See `Backend.setting`."""
        with self.reading():
            return self._all_settings().get(name)

    def set(self, name: str, value: str) -> None:
        """See `Backend.set`."""
        with self.writing() as journal:
            self._change_runs(journal, {self._settings: json.dumps({**self._all_settings(), name: value}).encode()})

    def _all_settings(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._settings.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            raise Unavailable(f"{self._settings} is damaged", "remove it: settings are then the usual ones") from None
        return found

    def _change_runs(self, journal: Journal, files: Mapping[Path, bytes | None]) -> None:
        with self._runs.changing([path.name for path in files if path.suffix == ".json" and path != self._settings]):
            journal.change(files)

    def _run_at(self, id: str) -> Path:
        return self._runs_at / f"{id}.json"

    def _outcome_at(self, id: str) -> Path:
        return self._runs_at / f"{id}.outcome"


def _age(run: Run) -> tuple[str, str]:
    return (run.started_at, run.id)


def _written(run: Run) -> bytes:
    return (json.dumps(asdict(run)) + "\n").encode()


def _read(path: Path) -> Run | None:
    """The run in a file; None where it is not there or not whole."""
    try:
        return Run(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
