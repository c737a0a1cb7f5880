"""Whether an audit log is what was written: each record, their order, and the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import field

from plg.access.audit import START, AuditLog, Head, Record, lines_of, read_anchor
from plg.dataclass import dataclass

MOST = 100
"""Findings that are told one by one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: a ``code`` (changed, removed, reordered, repeated, truncated, replaced, added, torn),
    and a sentence."""

    code: str
    message: str


@dataclass
class Verified:
    """What was found in a log. ``faults`` are what cannot have come of a crash, ``notes`` what can."""

    records: int = 0
    head: Head = field(default_factory=Head)
    anchor: Head | None = None
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    more: int = 0

    def damage(self, code: str, message: str) -> None:
        if len(self.faults) < MOST:
            self.faults.append(Finding(code, message))
        else:
            self.more += 1


def verify(log: AuditLog, head: Head | None = None) -> Verified:
    """Look through the whole log, and at its anchor; ``head`` is one that was noted elsewhere, in its place.

    Raises `AccessError` where one of them cannot be read.
    """
    found = Verified(anchor=head or read_anchor(log.anchor))
    walk = _Walk(found)
    for line, record, offset in lines_of(log.path):
        walk.take(line, record, offset)
    walk.end()
    _against_anchor(found, walk, "the anchor" if head is None else "the head that was given")
    return found


class _Walk:
    """Goes through the records in the order of the file."""

    def __init__(self, found: Verified) -> None:
        self._found = found
        self._before: Record | None = None
        self._expected = 1
        self._missing: list[tuple[int, int]] = []
        self._unread: tuple[bytes, int] | None = None
        self.anchored: str | None = None
        self.claimed = 0
        """The number of the last line that is no record any more, and can still be told to have been one."""

    def take(self, line: bytes, record: Record | None, offset: int) -> None:
        if record is None:
            self._unreadable(line, offset)
            return
        found = self._found
        found.records += 1
        if self._unread is not None:
            self._explain(record)
        if record.document["event"] == "audit.discontinuity":
            self._break(record)
        self._place(record, offset)
        if found.anchor is not None and record.seq == found.anchor.seq:
            self.anchored = record.hash
        if record.seq >= found.head.seq:
            found.head = Head(record.seq, record.hash)
        self._before = record

    def _place(self, record: Record, offset: int) -> None:
        """Whether a record stands where its number says."""
        found, before = self._found, self._before
        if record.seq == self._expected:
            expected = START if record.seq == 1 else before.hash if before and before.seq == record.seq - 1 else None
            if expected is not None and record.prev != expected:
                found.damage("changed", f"record {record.seq} at byte {offset} does not follow the one before it")
            self._expected += 1
        elif record.seq > self._expected:
            self._missing.append((self._expected, record.seq - 1))
            self._expected = record.seq + 1
        elif self._was_missing(record.seq):
            found.damage("reordered", f"record {record.seq} at byte {offset} stands behind later ones")
        else:
            found.damage("repeated", f"record {record.seq} at byte {offset} stands there a second time")

    def _was_missing(self, seq: int) -> bool:
        for at, (first, last) in enumerate(self._missing):
            if first <= seq <= last:
                self._missing[at : at + 1] = [
                    part for part in ((first, seq - 1), (seq + 1, last)) if part[0] <= part[1]
                ]
                return True
        return False

    def _unreadable(self, line: bytes, offset: int) -> None:
        if self._unread is not None:
            self._tell_changed(*self._unread)
        self._unread = line, offset

    def _explain(self, record: Record) -> None:
        """A line that is no record: torn by a crash, where the record behind it says so and knows its bytes."""
        assert self._unread is not None, "asked only of such a line"
        (line, offset), self._unread = self._unread, None
        torn, told = line.removesuffix(b"\n"), record.document["what"]
        digest = hashlib.sha256(torn).hexdigest()
        if record.document["event"] == "audit.torn" and told.get("sha256") == digest:
            self._found.notes.append(Finding("torn", f"{len(torn)} bytes at byte {offset} were torn by a crash"))
        else:
            self._tell_changed(line, offset)

    def _tell_changed(self, line: bytes, offset: int) -> None:
        seq = _claimed(line)
        if seq is not None and seq == self._expected:
            self._expected += 1
            self._before, self.claimed = None, seq
        which = "a line" if seq is None else f"record {seq}"
        self._found.damage("changed", f"{which} at byte {offset} is not as it was written")

    def _break(self, record: Record) -> None:
        """The log did not fit its anchor when this record was added."""
        told, at = record.document["what"], record.document["at"]
        lost, kept = told.get("anchor_seq"), told.get("log_seq")
        if lost is None:
            self._found.damage("replaced", f"the log had no anchor at {at}, after record {kept}")
        elif lost > kept:
            self._found.damage("truncated", f"records {kept + 1} to {lost} were cut off before {at}")
            if self._expected == kept + 1:
                self._expected = record.seq
        elif lost == kept:
            self._found.damage("replaced", f"record {kept} was replaced before {at}: it is not the one of the anchor")
        else:
            self._found.damage("added", f"records {lost + 1} to {kept} were added past the anchor before {at}")
        self._before = None

    def end(self) -> None:
        found = self._found
        if self._unread is not None:
            line, offset = self._unread
            if line.endswith(b"\n"):
                self._tell_changed(line, offset)
            else:
                words = f"the last {len(line)} bytes, from byte {offset}, are torn: a record was being written"
                found.notes.append(Finding("torn", words))
        for first, last in self._missing:
            which = f"record {first} is" if first == last else f"records {first} to {last} are"
            found.damage("removed", f"{which} missing")


def _against_anchor(found: Verified, walk: _Walk, what: str) -> None:
    anchor, head = found.anchor, found.head
    if anchor is None:
        if found.records:
            found.damage("replaced", "the log has no anchor, so nobody knows where it ended")
        return
    if anchor.seq > max(head.seq, walk.claimed):
        first = head.seq + 1
        which = f"record {first} is" if first == anchor.seq else f"records {first} to {anchor.seq} are"
        found.damage("truncated", f"{which} cut off: {what} has the number {anchor.seq}")
    elif anchor.seq and walk.anchored not in (None, anchor.hash):
        found.damage("replaced", f"record {anchor.seq} is another one than that of {what}: the log was written anew")
    elif head.seq == anchor.seq + 1 and what == "the anchor":
        found.notes.append(Finding("added", f"record {head.seq} was written, and the anchor not: by a crash"))
    elif head.seq > anchor.seq and what == "the anchor":
        found.damage("added", f"records {anchor.seq + 1} to {head.seq} were added past the anchor")


def _claimed(line: bytes) -> int | None:
    """The number that a line says it has, where it can still be read."""
    try:
        seq = json.loads(line)["seq"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return seq if isinstance(seq, int) else None


def findings(found: Verified) -> Iterator[Finding]:
    """The faults, then the notes."""
    yield from found.faults
    yield from found.notes
