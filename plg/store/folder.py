"""Profiles as scenario files in a folder, for people who keep them in git.

``NAME.plg`` (or ``.yaml``, ``.json``) is a profile's present scenario, with sealed text in place of its secrets; people
may write and change such files by hand. ``.plg-store`` beside them holds the versions, and the runs.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from plg.dataclass import dataclass
from plg.diagnostics import ScenarioError
from plg.language.load import SUFFIXES, read_source, read_text
from plg.language.write import write_json, write_plg, write_yaml
from plg.store.base import Backend, Document, Grant, Page, Profile, Query, Summary
from plg.store.cursors import page_size, read_cursor, write_cursor
from plg.store.errors import changed, name_taken, no_profile, no_version
from plg.store.folder_index import Index
from plg.store.folder_runs import FolderRuns
from plg.store.journal import Journal
from plg.store.store import moment

_HOME = ".plg-store"
_BELIEVED = 2.0
"""Seconds for which a list may not show that people have written over a file; what is loaded is always looked at."""
_IGNORED = "lock\npending.json\nruns/\nsettings.json\n"
"""What git leaves out: versions of profiles belong to them, runs do not."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WRITERS = {".plg": write_plg, ".yaml": write_yaml, ".yml": write_yaml, ".json": write_json}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A profile's present version as it was saved, in the ``file`` whose text has the digest ``text``."""

    profile: Profile
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it is: the digest of its text, and when it was changed."""

    text: str
    changed_at: str


class FolderBackend(FolderRuns, Backend):
    """See `Backend`. What people change by hand is the next version, which is kept when the one after it is saved."""

    def __init__(self, root: Path) -> None:
        home = root / _HOME
        self.place, self._root, self._home = str(root), root, home
        self._journal = Journal(root, home)
        self._threads = threading.RLock()
        self._files = Index(root, SUFFIXES, _seen, self._journal.generation, believed=_BELIEVED)
        self._kept = Index(home / "profiles", (".json",), _listed, self._journal.generation)
        self._merged: tuple[tuple[int, int], dict[str, tuple[Profile, str]], list[Profile]] | None = None
        self._parsed: dict[str, tuple[str, Document | None]] = {}
        self._prepare(home, _IGNORED)
        FolderRuns.__init__(self, home, self._journal.generation)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A look at the folder that nobody changes meanwhile."""
        with self._threads, self._journal.reading():
            yield

    @contextmanager
    def writing(self) -> Iterator[Journal]:
        """A change of the folder."""
        with self._threads, self._journal.writing():
            yield self._journal

    # Profiles --------------------

    def add(self, profile: Profile) -> None:
        """See `Backend.add`."""
        with self.writing() as journal:
            self._refuse_taken(profile)
            self._change(journal, self._version(profile, self._new_file(profile)))

    def append(self, profile: Profile, after: str) -> None:
        """See `Backend.append`."""
        with self.writing() as journal:
            before, file = self._present(profile.id)
            if before.etag != after:
                raise changed(before.name)
            if profile.name != before.name:
                self._refuse_taken(profile)
            by_hand: dict[Path, bytes | None] = {}
            if not self._at(profile.id, before.version).exists():
                by_hand = {self._at(profile.id, before.version): _record(replace(before, edited=""), file, "")}
            self._change(journal, by_hand | self._version(profile, file))

    def replace(self, profile: Profile) -> None:
        """See `Backend.replace`."""
        with self.writing() as journal:
            present, file = self._present(profile.id)
            if present.version == profile.version:
                self._change(journal, self._version(replace(profile, edited=""), file))
            elif self._at(profile.id, profile.version).exists():
                self._change(journal, {self._at(profile.id, profile.version): _record(profile, file, "")})
            else:
                raise no_version(profile.id, profile.version)

    def profile(self, id: str, version: int | None = None) -> Profile:
        """See `Backend.profile`."""
        with self.reading():
            present, _ = self._present(id)
            if version in (None, present.version):
                return present
            return self._earlier(present, version)

    def named(self, name: str) -> Profile:
        """See `Backend.named`."""
        with self.reading():
            found = next((each.id for each, _ in self._profiles().values() if each.name == name), None)
            if found is None:
                raise no_profile(name)
            return self._present(found)[0]

    def versions(self, id: str) -> Sequence[Profile]:
        """See `Backend.versions`."""
        with self.reading():
            present, _ = self._present(id)
            kept = sorted((int(path.stem) for path in self._at(id, 0).parent.glob("*.json")), reverse=True)
            return [present, *(self._earlier(present, number) for number in kept if number < present.version)]

    def remove(self, id: str, etag: str | None = None) -> None:
        """See `Backend.remove`."""
        with self.writing() as journal:
            present, file = self._present(id)
            if etag is not None and present.etag != etag:
                raise changed(present.name)
            versions = self._at(id, 0).parent.glob("*.json")
            self._change(journal, dict.fromkeys([self._root / file, self._head(id), *versions]))

    def share(self, id: str, private: bool, grants: Sequence[Grant]) -> Profile:
        """See `Backend.share`."""
        with self.writing() as journal:
            present, file = self._present(id)
            kept = _kept(self._head(id))
            # The text that was saved: a change by hand stays one.
            base = present if kept is None else kept.profile
            text = present.edited if kept is None else kept.text
            shared = replace(base, private=private, grants=tuple(grants), edited="")
            self._change(journal, {self._head(id): _record(shared, file, text)})
            return self._present(id)[0]

    def find(self, query: Query) -> Page[Summary]:
        """See `Backend.find`."""
        size, after = page_size(query.limit), read_cursor(query.cursor, 1)[0] if query.cursor else ""
        with self.reading():
            self._profiles()
            assert self._merged is not None
            ordered = self._merged[2]
        begin = bisect_right(ordered, after, key=lambda each: each.name) if after else 0
        fitting = (each for each in itertools.islice(ordered, begin, None) if _fits(each, query))
        found = list(itertools.islice(fitting, size + 1))
        items = [_summary(each) for each in found[:size]]
        return Page(items, write_cursor((items[-1].name,)) if len(found) > size else "")

    # Files --------------------

    def _change(self, journal: Journal, files: Mapping[Path, bytes | None]) -> None:
        heads = [path.name for path in files if path.parent == self._root]
        records = [path.name for path in files if path.parent == self._home / "profiles"]
        known = self._merged is not None and self._merged[0] == (self._files.changes, self._kept.changes)
        with self._files.changing(heads), self._kept.changing(records):
            journal.change(files)
        if known:
            self._merge_again([name.removesuffix(".json") for name in records])

    def _merge_again(self, ids: Sequence[str]) -> None:
        """Bring what is known of all profiles up to date after a change of these alone."""
        assert self._merged is not None
        _, found, ordered = self._merged
        self._merged = None
        for id in ids:
            if id in found:
                name = found.pop(id)[0].name
                at = bisect_left(ordered, name, key=lambda each: each.name)
                at = next(place for place in range(at, len(ordered)) if ordered[place].id == id)
                del ordered[at]
            kept = self._kept.get(f"{id}.json")
            seen = self._files.get(kept.file) if kept is not None else None
            if kept is not None and (seen is None or seen.text != kept.text):
                return  # changed by hand meanwhile: all are looked at again
            if kept is not None:
                found[id] = kept.profile, kept.file
                insort(ordered, kept.profile, key=lambda each: each.name)
        self._merged = (self._files.changes, self._kept.changes), found, ordered

    def _present(self, id: str) -> tuple[Profile, str]:
        """The present version and its file. Raises `NotFound`."""
        kept = _kept(self._head(id)) if _ID.fullmatch(id) else None
        if kept is not None:
            seen = _seen(self._root / kept.file)
            document = None if seen is None or seen.text == kept.text else _scenario(self._root / kept.file)
            if seen is not None and (seen.text == kept.text or document is not None):
                return _since(kept, seen, document), kept.file
        _, file = self._profiles().get(id, (None, ""))
        seen, document = (_seen(self._root / file), _scenario(self._root / file)) if file else (None, None)
        if seen is None or document is None:
            raise no_profile(id)
        return _by_hand(file, seen, document), file

    def _profiles(self) -> dict[str, tuple[Profile, str]]:
        """Every profile, without its scenario and files, and the name of its file; by its id."""
        files, all_kept = self._files.refresh(), self._kept.refresh()
        state = self._files.changes, self._kept.changes
        if self._merged is not None and self._merged[0] == state:
            return self._merged[1]
        found: dict[str, tuple[Profile, str]] = {}
        parsed: dict[str, tuple[str, Document | None]] = {}
        taken = set()
        for name, kept in all_kept.items():
            seen = files.get(kept.file)
            if seen is None:
                continue
            document = None if seen.text == kept.text else self._head_of(kept.file, seen, parsed)
            if seen.text == kept.text or document is not None:
                taken.add(kept.file)
                found[name.removesuffix(".json")] = (_since(kept, seen, document), kept.file)
        for name in files.keys() - taken:
            document = self._head_of(name, files[name], parsed)
            if document is not None:
                by_hand = _by_hand(name, files[name], document)
                found[by_hand.id] = (by_hand, name)
        self._parsed = parsed
        self._merged = state, found, sorted((each for each, _ in found.values()), key=lambda each: each.name)
        return found

    def _head_of(self, file: str, seen: _Seen, parsed: dict[str, tuple[str, Document | None]]) -> Document | None:
        """What a list needs of a file that was written or changed by hand, read once; None where it is no scenario."""
        known = self._parsed.get(file)
        if known is None or known[0] != seen.text:
            document = _scenario(self._root / file)
            names = ("description", "tags", "metadata")
            known = seen.text, document and {name: document[name] for name in names if name in document}
        parsed[file] = known
        return known[1]

    def _refuse_taken(self, profile: Profile) -> None:
        if any(each.name == profile.name and id != profile.id for id, (each, _) in self._profiles().items()):
            raise name_taken(profile.name)

    def _earlier(self, present: Profile, version: int | None) -> Profile:
        kept = _kept(self._at(present.id, version or 0))
        if kept is None:
            raise no_version(present.id, version)
        return replace(kept.profile, private=present.private, grants=present.grants)

    def _version(self, profile: Profile, file: str) -> dict[Path, bytes | None]:
        """The files of a new present version."""
        suffix = Path(file).suffix
        text = _WRITERS[suffix](profile.scenario).encode()
        record = _record(profile, file, _digest(text))
        return {self._root / file: text, self._head(profile.id): record, self._at(profile.id, profile.version): record}

    def _new_file(self, profile: Profile) -> str:
        """A name that no file has, with the ending of a spelling that holds the whole document."""
        spelled = read_text(write_plg(profile.scenario), "profile", ".plg")
        suffix = ".plg" if spelled.document == profile.scenario and not spelled.faults else ".yaml"
        stem = re.sub(r"[^\w-]+", "-", profile.name).strip("-")[:80] or "profile"
        names = (f"{stem}{(number and f'-{number + 1}') or ''}{suffix}" for number in itertools.count())
        return next(name for name in names if not (self._root / name).exists())

    def _head(self, id: str) -> Path:
        return self._home / "profiles" / f"{id}.json"

    def _at(self, id: str, version: int) -> Path:
        return self._home / "versions" / id / f"{version}.json"

    def close(self) -> None:
        """See `Backend.close`."""


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _record(profile: Profile, file: str, text: str) -> bytes:
    return (json.dumps({"file": file, "text": text, **asdict(profile)}, indent=1) + "\n").encode()


def _kept(path: Path) -> _Kept | None:
    """The version in a file; None where it is not there or not whole."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        file, text = found.pop("file"), found.pop("text")
        grants = tuple(Grant(**each) for each in found["grants"])
        words = {name: tuple(found[name]) for name in ("tags", "secret")}
        return _Kept(Profile(**{**found, **words, "grants": grants}), file, text)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _listed(path: Path) -> _Kept | None:
    """As `_kept`, with what a list shows alone: a folder may hold many thousand."""
    kept = _kept(path)
    if kept is None:
        return None
    metadata = {"environment": kept.profile.environment} if kept.profile.environment else {}
    return replace(kept, profile=replace(kept.profile, scenario={}, files={}, metadata=metadata))


def _seen(path: Path) -> _Seen | None:
    """The state of a file; None where it cannot be read."""
    try:
        return _Seen(_digest(path.read_bytes()), moment(path.stat().st_mtime))
    except OSError:
        return None


def _scenario(path: Path) -> Document | None:
    """The scenario in a file; None where it is none."""
    try:
        source = read_source(path)
    except ScenarioError:
        return None
    return None if source.faults or "pattern" not in source.document else source.document


def _since(kept: _Kept, seen: _Seen, document: Document | None) -> Profile:
    """The present version: as it was saved, or as people have made of it the ``document`` that stands there since."""
    if document is None:
        return kept.profile
    profile = kept.profile
    return replace(
        profile, version=profile.version + 1, scenario=document, updated_at=seen.changed_at, updated_by="",
        description=_described(document, profile.description), tags=_tags(document) or profile.tags,
        edited=seen.text, sealed_as=profile.sealed_as or profile.version,
    )  # fmt: skip


def _by_hand(file: str, seen: _Seen, document: Document) -> Profile:
    """The profile of a file that plg has not saved."""
    metadata = document.get("metadata")
    return Profile(
        _digest(file.encode()), 1, Path(file).stem, document, seen.changed_at, "", seen.changed_at, "",
        _described(document, ""), _tags(document), metadata if isinstance(metadata, dict) else {}, edited=seen.text,
    )  # fmt: skip


def _described(document: Document, otherwise: str) -> str:
    found = document.get("description")
    return found if isinstance(found, str) else otherwise


def _tags(document: Document) -> tuple[str, ...]:
    found = document.get("tags")
    return tuple(tag for tag in found if isinstance(tag, str)) if isinstance(found, list) else ()


def _fits(profile: Profile, query: Query) -> bool:
    return (
        set(query.tags) <= set(profile.tags)
        and query.name.lower() in profile.name.lower()
        and query.environment in ("", profile.environment)
        and profile.seen_by(query.reader)
    )


def _summary(profile: Profile) -> Summary:
    return Summary(
        profile.id, profile.version, profile.name, profile.description, profile.tags, profile.environment,
        profile.created_at, profile.created_by, profile.updated_at, profile.private,
    )  # fmt: skip
