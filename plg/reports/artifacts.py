"""The files of a check: per scenario HTML, outcome and effective scenario, and one JUnit document for all.

Each file is written whole or not at all: into a temporary neighbour first, then renamed. One that cannot be written is
told and does not keep the others from being tried; where programs read it, the check does not pass.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError
from plg.outcome import Outcome
from plg.reports import earlier
from plg.reports.registry import REPORTS, USUAL
from plg.reports.render import Drawing, RenderError, render
from plg.reports.render_process import RenderProcess
from plg.reports.repository import roots
from plg.reports.shared_folder import UNREPORTED, SharedFolder, junit_name, shard_suffix

if TYPE_CHECKING:
    from plg.reports.junit import InvalidScenario


_AFTER_SIGNAL = 2.0
"""Seconds after a signal in which reports are still drawn."""
_LONGEST_STEM = 160
"""Bytes of a file's name that are the scenario's."""


@dataclass(frozen=True, slots=True)
class Written:
    """What `Artifacts.finish` has to say: annotation commands for GitHub, and remarks about what went wrong."""

    annotations: tuple[str, ...]
    notes: tuple[str, ...]


class Artifacts:
    """Collects the runs of one check and writes their files into ``folder``.

    The ``reports`` are names of the registry. The files of a ``shard`` (i from 0, n) bear its number, so that all
    shards of a run can share the folder. Reports are drawn at the ``renderer``, whose process may have been started
    before; in a hurry once ``interrupted`` names a signal.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reports: Sequence[str] = USUAL,
        shard: tuple[int, int] | None = None,
        renderer: RenderProcess | None = None,
        shared: SharedFolder | None = None,
        interrupted: Callable[[], object] = lambda: None,
    ) -> None:
        self.folder = folder
        self.renderer = renderer or RenderProcess()
        self.failed = False
        self.lost: dict[str, str] = {}
        """The files that are read without a look at them and could not be written: why, by their paths."""
        self._reports = [REPORTS[name] for name in reports]
        self._roots = roots(os.environ)
        self._suffix = shard_suffix(shard)
        self._runs: dict[str, Outcome | InvalidScenario] = {}
        self._pending: set[str] = set()
        self._undrawn: list[tuple[Outcome, str, str]] = []
        self._shared = shared or SharedFolder(folder, junit_name(shard), wanted="junit" in reports)
        self._interrupted, self._hurried = interrupted, False
        self._until: float | None = None
        self._attachments: dict[str, str] = {}
        self._notes: list[str] = []

    def refused(self) -> str | None:
        """Why nothing can be written into the folder, found by trying; None where something can."""
        draft = self.folder / f".plg.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(b"")
            draft.unlink()
        except OSError as error:
            return f"{self.folder} cannot hold the artifacts: {(error.strerror or str(error)).lower()}"
        return None

    @contextmanager
    def at_work(self, outcomes: Sequence[str]) -> Iterator[None]:
        """A stretch of work on the folder, in whose JUnit document nothing is green but what has been written in it.

        What earlier commands made there of the saved ``outcomes`` (paths or globs) is set aside.
        """
        self._shared.enter()
        earlier.set_aside_of_outcomes(self.folder, outcomes, spared=self._shared.taken())
        try:
            yield
        finally:
            self._shared.leave()

    def begin(self, files: Sequence[Path]) -> None:
        """Write a JUnit document in which none of the files has finished.

        However the check ends, what an earlier one left there is not taken for its result.
        """
        self._runs = {str(file): _invalid(file, _unfinished(file)) for file in files}
        self._pending = set(self._runs)
        self._write_junit()

    def give_up(self, error: ScenarioError) -> None:
        """The check ends before anything was run, or at once: say so where the result would stand."""
        if self._pending:
            reason = error.diagnostics[0].message
            self._runs |= {file: _invalid(Path(file), _unfinished(Path(file), reason)) for file in self._pending}
            self._pending = set()
        else:
            self._place("plg check", _invalid(Path("plg check"), error))
        self._write_junit()

    def add(self, outcome: Outcome) -> None:
        """Write the files of one run now, so that a later accident cannot take them, and the JUnit so far."""
        from plg.outcome_io import to_json

        saved = to_json(outcome)
        # What programs read is written while another process draws; it does not depend on what becomes of that.
        with self._drawing(saved) as drawing:
            stem = self._save(outcome, saved)
            self._write_junit()
            self._illustrate(outcome, stem, saved, drawing)
        self._write_junit()

    def add_undrawn(self, outcome: Outcome) -> None:
        """Write what programs read of a run now; its reports come with `draw`, as others still run."""
        from plg.outcome_io import to_json

        saved = to_json(outcome)
        self._undrawn.append((outcome, self._save(outcome, saved), saved))
        self._write_junit()

    def draw(self) -> None:
        """Draw the reports of the runs that were added without, in the order of the files."""
        order = {id(run): number for number, run in enumerate(self._runs.values())}
        waiting, self._undrawn = sorted(self._undrawn, key=lambda each: order[id(each[0])]), []
        for number, (outcome, stem, saved) in enumerate(waiting):
            if self._hurried:
                self._notes.append(f"nor were the reports of {len(waiting) - number} more scenarios drawn")
                break
            with self._drawing(saved) as drawing:
                self._illustrate(outcome, stem, saved, drawing)
        self._write_junit()

    def _drawing(self, saved: str) -> AbstractContextManager[Drawing | None]:
        """The drawing of what is drawn first, begun; none where no page is asked for."""
        return self.renderer.begin(saved) if any(report.ahead for report in self._reports) else nullcontext()

    def _save(self, outcome: Outcome, saved: str) -> str:
        """Write what is not drawn of a run; the stem of its files. What is not asked for is not left there either."""
        self._place(outcome.scenario_file or "", outcome)
        stem = self._stem(outcome.name) + self._suffix
        earlier.set_aside_stem(self.folder, stem, [Path(outcome.scenario_file or "")])
        for report in REPORTS.values():
            path = self.folder / f"{stem}.{report.suffix}"
            if report not in self._reports and not report.shared:
                earlier.replaced(path)
            elif not report.drawn and not report.shared:
                made = saved if report.name == "json" else report.make([outcome])
                if fault := self._write(path.name, made):
                    self.lost[str(path)] = fault
        return stem

    def _place(self, file: str, run: Outcome | InvalidScenario) -> None:
        """Put the result of a file where it was waited for, else at the end."""
        self._runs[file if file in self._pending else f"{file} {len(self._runs)}"] = run
        self._pending.discard(file)

    def _illustrate(self, outcome: Outcome, stem: str, saved: str, drawing: Drawing | None) -> None:
        for report in self._reports:
            if not report.drawn:
                continue
            name = f"{stem}.{report.suffix}"
            if not report.ahead or drawing is None:
                self._hang(name, partial(render, saved, report.name, self._left))
            elif self._hang(name, partial(drawing.finish, self._left)):
                self._attachments[outcome.run_id] = str(self.folder / name)

    def add_invalid(self, file: Path, error: ScenarioError, rendered: str = "") -> None:
        """Remember a scenario that was refused; it becomes a suite with one error."""
        self._place(str(file), _invalid(file, error, rendered))
        self._write_junit()

    def finish(self, *, github: bool) -> Written:
        """What is left to say once all have run; with ``github`` also annotations and the step summary."""
        if self._pending:
            self._runs = {file: run for file, run in self._runs.items() if file not in self._pending}
            self._pending = set()
            self._write_junit()
        self._shared.leave()
        self._tell_replaced()
        annotations: list[str] = []
        if github:
            annotations = self._github()
        return Written(tuple(annotations), tuple(self._notes))

    def _tell_replaced(self) -> None:
        """A word about what failed in an earlier check and is not in the document any more, as steps of one job go."""
        own = {"plg", "plg check", "plg merge", "plg judge", *(run.name for run in self._runs.values())}
        if gone := [name for name in self._shared.replaced if name not in own]:
            named = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
            where = self._shared.document
            self._notes.append(f"{where} held what failed in an earlier check, and holds this one now: {named}")

    def _github(self) -> list[str]:
        from plg.reports.github import annotate, annotate_invalid
        from plg.reports.markdown import markdown

        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        runs = self._told()
        if summary and runs:
            try:
                with Path(summary).open("a", encoding="utf-8") as file:
                    file.write(markdown(runs) + "\n")
            except OSError as error:
                self._complain(summary, error)
        named = self._roots
        texts = [annotate(r, named) if isinstance(r, Outcome) else annotate_invalid(r.error, named) for r in runs]
        return [text.rstrip("\n") for text in texts if text.strip()]

    def _stem(self, name: str) -> str:
        # Not every locale can spell every name of a file.
        encoding = sys.getfilesystemencoding()
        spelled = name.encode(encoding, "replace").decode(encoding)
        base = re.sub(r"[^\w.-]+", "-", spelled).strip(".-")[:100]
        # File systems count bytes, of which a letter may have four, and what is put behind needs room too.
        base = base.encode(encoding)[:_LONGEST_STEM].decode(encoding, "ignore") or "scenario"
        return self._shared.reserve(base)

    def _told(self) -> list[Outcome | InvalidScenario]:
        """All runs, and an error where a file of one of them could not be written."""
        lost = [
            Diagnostic("not-written", f"{path} could not be written: {why}", path) for path, why in self.lost.items()
        ]
        return [*self._runs.values(), *([_invalid(Path("artifacts"), ScenarioError(lost))] if lost else [])]

    def _write_junit(self) -> None:
        if not self._shared.wanted:
            return
        from plg.reports.junit import junit

        place = str(self._shared.document)
        self.lost.pop(place, None)
        if runs := self._told():
            try:
                self._shared.publish(junit(runs, self._attachments, self._roots))
            except OSError as error:
                self.lost[place] = self._complain(place, error)

    def _left(self) -> float:
        """Seconds that drawings may still take: after a signal a few for all of them together."""
        if not self._interrupted():
            return math.inf
        now = time.monotonic()
        self._until = now + _AFTER_SIGNAL if self._until is None else self._until
        return self._until - now

    def _hang(self, name: str, draw: Callable[[], bytes]) -> bool:
        if self._hurried:
            return False
        try:
            return not self._write(name, draw())
        except RenderError as error:
            self._hurried = self._left() <= 0
            self._notes.append(f"{name} not written: {error}")
        except KeyboardInterrupt:
            # Pictures are what can be given up; the verdict stands, and programs have read it already.
            self._hurried = True
            self._notes.append(f"{name} not written: a second signal came while it was drawn")
        return False

    def _write(self, name: str, content: str | bytes) -> str:
        """Write a file; why it could not be written, or nothing."""
        path = self.folder / name
        try:
            self._shared.write(path, content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
        except OSError as error:
            return self._complain(str(path), error)
        earlier.replaced(path)
        return ""

    def _complain(self, path: str, error: OSError) -> str:
        self.failed = True
        why = (error.strerror or str(error)).lower()
        note = f"{path} not written: {why}"
        if note not in self._notes:
            self._notes.append(note)
        return why


def _unfinished(file: Path, why: str = UNREPORTED) -> ScenarioError:
    return ScenarioError([Diagnostic("not-finished", f"{file} was not judged: {why}", str(file))])


def _invalid(file: Path, error: ScenarioError, rendered: str = "") -> InvalidScenario:
    from plg.reports.junit import InvalidScenario

    return InvalidScenario(file.stem or str(file), error, rendered)
