"""One JUnit document that several checks in a folder write together: none loses another's suites.

Each check keeps a hidden file in the folder, locked as long as it lives, with the document of its own runs and the
names of its files. ``junit.xml`` is put together from all of them: when a check enters, at each of its results, and
when it leaves. The files of checks that have ended, or were killed, stay until the last one that ran beside them
leaves; a check that finds no other at work takes them away.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path
from typing import Any

_PREFIX, _DRAFT = ".plg-check-", ".plg-draft-"
_PATIENCE = 5.0
"""Seconds to wait for the folder's lock, which others hold for milliseconds."""
UNREPORTED = "its check still runs, or was ended before it could report"
"""What a document says of a scenario as long as there is no result of it."""
_KILLED = "its check was ended before it could report"
"""What takes its place in the document of a check that is known to be dead."""
_NOT_BEGUN = """\
<?xml version='1.0' encoding='utf-8'?>
<testsuites name="plg" tests="1" failures="0" errors="1" time="0.000">
  <testsuite name="plg" tests="1" failures="0" errors="1" time="0.000">
    <testcase name="run" classname="plg" time="0.000">
      <error type="not-finished" message="plg was ended before it began"/>
    </testcase>
  </testsuite>
</testsuites>
"""
"""What a check has to tell before it has loaded what it tells with."""


_PLG = re.compile(r'<testsuites [^>]*name="plg')
_SUITE, _ATTRIBUTE = re.compile(r"<testsuite ([^>]*)>"), re.compile(r'(\w+)="([^"]*)"')


def junit_name(shard: tuple[int, int] | None) -> str:
    """The document's file; that of a ``shard`` (i from 0, n) bears its number."""
    return f"junit{shard_suffix(shard)}.xml"


def shard_suffix(shard: tuple[int, int] | None) -> str:
    """What tells the files of a ``shard`` (i from 0, n) from those of others."""
    return "" if shard is None else f".shard-{shard[0] + 1}-of-{shard[1]}"


class SharedFolder:
    """A check's place in a folder. ``name`` is that of the document.

    Where the document is not ``wanted``, the check writes none, and takes away what an earlier one left: that must not
    pass for its result.
    """

    def __init__(self, folder: Path, name: str, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self.document = folder / name
        self._folder = folder
        self._prefix, self._draft = (f"{kind}{name.removesuffix('.xml')}-" for kind in (_PREFIX, _DRAFT))
        self._token = f"{os.getpid()}-{os.urandom(4).hex()}"  # two containers may share a folder and a process id
        self._own: Path | None = None
        self._held = -1
        self._begun = False
        self.replaced: list[str] = []
        """The red suites of an earlier check that this one's document takes the place of."""
        self._state: dict[str, Any] = {"stems": [], "document": _NOT_BEGUN if wanted else ""}

    def enter(self) -> None:
        """Take the place: the document of an earlier check gives way to a red one, and those at work hear of this one.

        The folder is made where it is missing, so that checks which begin together find each other from the start.
        """
        if self._own is None:
            with suppress(OSError), self._locked():
                with suppress(OSError):
                    self._keep()
                if not self._others():
                    self.replaced = _red_suites(self.document) if self.wanted else []
                self._put_all()

    def publish(self, document: str) -> None:
        """Write the document of all that share the folder now, in the order of their start. Raises `OSError`.

        Where the file system knows no locks, a check is alone.
        """
        self._state["document"] = document
        try:
            with self._locked():
                with suppress(OSError):  # a full disk keeps nobody from trying
                    self._keep()
                self._put_all()
        except _NoLock:
            self._put(document)

    def taken(self) -> set[str]:
        """The names of the files of other checks that share the folder."""
        with suppress(OSError):
            return {stem for state in self._others().values() for stem in state["stems"]}
        return set()

    def reserve(self, base: str) -> str:
        """``base``, or with a number behind it what no check in the folder has for the name of its files."""
        with suppress(OSError), self._locked():
            stem = self._free(base, self.taken())
            self._state["stems"].append(stem)
            with suppress(OSError):  # a full disk: nobody hears of it, and the name holds all the same
                self._keep()
            return stem
        stem = self._free(base, set())
        self._state["stems"].append(stem)
        return stem

    def leave(self) -> None:
        """Let go; whoever is the last takes the hidden files away, once all that they tell is in the document."""
        if self._own is None:
            return
        with suppress(OSError), self._locked():
            if self._others():
                with suppress(OSError):
                    self._put_all()
            os.close(self._held)
            self._own, self._held = None, -1
            self._sweep()

    def write(self, path: Path, content: bytes) -> None:
        """Write a file of the folder whole or not at all. Raises `OSError`."""
        draft = path.with_name(f"{self._draft}{path.name}.{self._token}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def _put_all(self) -> None:
        documents = {self._own: self._state["document"]}
        documents |= {path: state["document"] for path, state in self._others().items()}
        in_order = [documents[path] for path in sorted(documents, key=str) if documents[path]]
        if len(in_order) > 1:
            from plg.reports.suites import combine

            self._put(combine(in_order))
        else:
            self._put(in_order[0] if in_order else "")

    def _put(self, document: str) -> None:
        if not document:
            # What others keep under this name is not plg's to remove.
            if _is_own(self.document):
                self.document.unlink(missing_ok=True)
            return
        try:
            self.write(self.document, document.encode("utf-8", "replace"))
            self._begun = True
        except OSError:
            # Neither what an earlier check left nor a green document may pass for the result of this one.
            if not (self._begun and _red_suites(self.document)):
                with suppress(OSError):
                    self.document.unlink(missing_ok=True)
            raise

    def _free(self, base: str, taken: set[str]) -> str:
        stem, number = base, 2
        while stem in taken or stem in self._state["stems"]:
            stem, number = f"{base}-{number}", number + 1
        return stem

    def _keep(self) -> None:
        """Save what this check has to tell, in a file that is whole and locked at every moment."""
        if self._own is None:
            self._sweep()
        own = self._own or self._folder / f"{self._prefix}{time.time_ns():020d}-{self._token}"
        draft = own.with_name(f"{self._draft}{self._token}")
        try:
            held = os.open(draft, os.O_WRONLY | os.O_CREAT, 0o644)
            _lock(held)
            with os.fdopen(os.dup(held), "w", encoding="utf-8") as file:
                json.dump(self._state, file)
            draft.replace(own)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        if self._own is not None:
            os.close(self._held)
        self._own, self._held = own, held

    def _sweep(self) -> None:
        if not any(map(_alive, self._files())):
            for path in (*self._files(), *self._folder.glob(f"{self._draft}*")):
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._prefix}*"))

    def _others(self) -> dict[Path, dict[str, Any]]:
        """What the other checks tell, those of them too that have ended, or were killed, beside one that still runs."""
        told = {}
        for path in self._files():
            with suppress(OSError, ValueError):
                state = json.loads(path.read_text(encoding="utf-8"))
                if path != self._own and isinstance(state["document"], str):
                    if not _alive(path):
                        state["document"] = state["document"].replace(UNREPORTED, _KILLED)
                    told[path] = state
        return told

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The folder itself is what is locked: nothing stays behind."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            folder = os.open(self._folder, os.O_RDONLY)
        except OSError as error:
            raise _NoLock(*error.args) from None
        try:
            until = time.monotonic() + _PATIENCE
            while not _lock(folder) and time.monotonic() < until:
                time.sleep(0.01)  # there is nothing to wait on but the other's end of writing
            yield
        finally:
            os.close(folder)


def _red_suites(document: Path) -> list[str]:
    try:
        suites = [dict(_ATTRIBUTE.findall(tag)) for tag in _SUITE.findall(document.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return []
    return [unescape(suite.get("name", "")) for suite in suites if {suite.get("errors"), suite.get("failures")} - {"0"}]


def _is_own(document: Path) -> bool:
    try:
        return _PLG.search(document.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False


class _NoLock(OSError):
    """The file system knows no locks."""


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _NoLock(*error.args) from None
    return True


def _alive(path: Path) -> bool:
    """Whether the check that the file belongs to still runs: its lock ends with it, however it ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)
