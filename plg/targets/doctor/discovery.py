"""Which queues a server holds: by the sets in which frameworks name theirs, by the names of keys, and by their values.

The names are looked through page by page with SCAN, up to a bound; what a name does not tell is asked as before a run
(`plg.targets.ownership`). Each bound that is reached becomes a remark.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from plg.dataclass import dataclass
from plg.queues import registry as formats
from plg.queues.base import Job, Queue
from plg.queues.owners.base import Owner, Roll, Spelling
from plg.queues.owners.registry import OWNERS
from plg.queues.use import QueueInUse, queues_of
from plg.targets.asked import Placed
from plg.targets.doctor.diagnosis import Looked, Remark
from plg.targets.doctor.reader import Reader, words_of
from plg.targets.ownership import Look

_PAGE, _PAGES = 5000, 40
"""Keys in one answer, and answers of one node."""
_MEMBERS, _MEMBER_PAGES = 1000, 5
_MOST_REGISTERS = 500
_MOST_UNKNOWN, _MOST_PLAIN = 5000, 100
"""Lists and streams that no name tells of: remembered, and looked into, the longest first."""
_MOST_SUSPECTS = 500
MOST_FOUND = 1000
"""Queues; there may be more where so many are found."""
_NUMBER = re.compile(r"[0-9a-f]*\d[0-9a-f]*")
_USUAL = frozenset(owner.usual for owner in OWNERS if owner.usual)
_SIZE = {"list": "LLEN", "stream": "XLEN"}


@dataclass(slots=True)
class Discovery:
    """Looks for queues within ``patience`` (s)."""

    reader: Reader
    patience: float
    queues: dict[tuple[str, str], QueueInUse] = field(default_factory=dict, init=False)
    sizes: dict[str, int] = field(default_factory=dict, init=False)
    """Of plain lists and streams, whose framework is not known."""
    remarks: list[Remark] = field(default_factory=list, init=False)
    _unknown: dict[str, str] = field(default_factory=dict, init=False)
    _suspects: dict[str, None] = field(default_factory=dict, init=False)
    _registers: dict[str, None] = field(default_factory=dict, init=False)
    _known: frozenset[str] = field(default_factory=lambda: frozenset(formats.names()), init=False)
    _frameworks: dict[str, Owner] = field(default_factory=dict, init=False)
    """Those whose keys are there, by the name of one of them."""
    _seen: int = field(default=0, init=False)
    _bounded: bool = field(default=False, init=False)
    _unseen: str = field(default="", init=False)
    _dull: set[str] = field(default_factory=set, init=False)

    def search(self) -> Looked:
        """Fill ``queues`` and ``remarks``; what it cost."""
        self._read_registers([register for owner in OWNERS for register in owner.registers])
        self._call([roll for owner in OWNERS if (roll := owner.roll())])
        there = self._count_keys()
        for kind in _SIZE:
            for page in self._pages(kind):
                self._take(page, kind)
        for page in self._pages():
            self._seen += len(page)
            for name in page:
                self._told_by(name)
        self._read_registers(list(self._registers)[:_MOST_REGISTERS])
        if self._unseen:
            self.remarks.append(Remark("keys-not-seen", f"the names of keys could not be looked at: {self._unseen}"))
        if self._bounded:
            of = "" if there is None else f" of {there:,}"
            self.remarks.append(
                Remark(
                    "not-all-keys-seen",
                    f"only {self._seen:,}{of} keys were looked at: queues may be among the others, though those that a "
                    "framework keeps a list of are found all the same",
                )
            )
        self._tell_unknown()
        self._tell_silent()
        return Looked(self.reader.commands, self._seen, there)

    def _count_keys(self) -> int | None:
        answers = self.reader.ask([(("DBSIZE",), node) for node in self.reader.nodes])
        sizes = [answer for answer in answers if isinstance(answer, int)]
        return sum(sizes) if len(sizes) == len(answers) else None

    def _pages(self, kind: str = "") -> Iterator[list[str]]:
        """The names of the keys of a ``kind``, "" for all, of each node in turn."""
        until = time.monotonic() + self.patience / 3
        only = ("TYPE", kind) if kind else ()
        for node in self.reader.nodes:
            cursor: bytes = b"0"
            for number in range(_PAGES):
                [answer] = self.reader.ask([(("SCAN", cursor, "COUNT", _PAGE, *only), node)])
                if isinstance(answer, Exception):
                    self._unseen = words_of(answer)
                    return
                cursor, found = answer
                yield [name.decode("utf-8", "replace") for name in found]
                if cursor == b"0":
                    break
                if number == _PAGES - 1 or time.monotonic() > until:
                    self._bounded = True
                    break

    def _take(self, page: Iterable[str], kind: str) -> None:
        """Remember lists or streams whose names tell nothing."""
        for name in page:
            if self._told_by(name):
                continue
            if len(self._unknown) < _MOST_UNKNOWN:
                self._unknown[name] = kind
            else:
                self._bounded = True

    def _told_by(self, name: str) -> bool:
        """Whether the name alone says what the key is. Of names that differ in numbers alone, and say nothing, one is
        looked at."""
        shape = _NUMBER.sub("#", name)
        if shape in self._dull:
            return False
        told = suspected = False
        for owner in OWNERS:
            if spelling := owner.named(name):
                self._add(spelling)
                return True
            if owner.is_register(name):
                self._registers[name] = None
                return True
            if suspect := owner.suspected(name):
                suspected = True
                if len(self._suspects) < _MOST_SUSPECTS:
                    self._suspects[suspect] = None
            if name not in _USUAL and owner.by_key(name) is not None:
                told = True
                if owner not in self._frameworks.values():
                    self._frameworks[name] = owner
        if not told and not suspected:
            self._dull.add(shape)
        return told

    def _read_registers(self, registers: Sequence[str]) -> None:
        """The queues that sets name, a few thousand of each."""
        pages = dict.fromkeys(registers, b"0")
        for _ in range(_MEMBER_PAGES):
            asked = [(("SSCAN", register, cursor, "COUNT", _MEMBERS), "") for register, cursor in pages.items()]
            answers = dict(zip(pages, self.reader.ask(asked), strict=True))
            pages = {}
            for register, answer in answers.items():
                if isinstance(answer, Exception):
                    continue  # another program's key, or one that this user may not read: SCAN tells of that
                cursor, members = answer
                if cursor != b"0":
                    pages[register] = cursor
                for member in members:
                    self._add_member(register, member.decode("utf-8", "replace"))
            if not pages:
                return

    def _call(self, rolls: Sequence[Roll]) -> None:
        """The queues that living workers and jobs name."""
        while rolls:
            questions: list[Placed] = [(question, "") for each in rolls for question in each.questions]
            answers = iter(self.reader.ask(questions))
            further: list[Roll] = []
            for each in rolls:
                given = [None if isinstance(a, Exception) else a for a in (next(answers) for _ in each.questions)]
                for found in each.read(given):
                    if isinstance(found, Roll):
                        further.append(found)
                    else:
                        self._add(found)
            rolls = further

    def _add_member(self, register: str, member: str) -> None:
        for owner in OWNERS:
            if owner.is_register(register) and (spelling := owner.member(register, member)):
                self._add(spelling)

    def _add(self, spelling: Spelling) -> None:
        if spelling.format not in self._known or len(self.queues) >= MOST_FOUND:
            return
        [queue] = queues_of([Job("work", Queue(spelling.format, spelling.name, spelling.settings))])
        self.queues.setdefault((spelling.format, queue.key), queue)

    def _tell_unknown(self) -> None:
        """Whose the lists and streams are that no name tells of; what is nobody's is a plain one."""
        known = {key for queue in self.queues.values() for key in queue.keys}
        unknown = {key: kind for key, kind in self._unknown.items() if key not in known}
        answers = self.reader.ask([((_SIZE[kind], key), "") for key, kind in unknown.items()])
        sizes = {key: size if isinstance(size, int) else 0 for key, size in zip(unknown, answers, strict=True)}
        longest = sorted(unknown, key=lambda key: -sizes[key])
        if len(longest) > _MOST_PLAIN:
            self.remarks.append(
                Remark(
                    "not-all-lists-seen",
                    f"{len(longest):,} lists and streams bear no name of a framework: only the {_MOST_PLAIN} "
                    "longest were looked into",
                )
            )
        plain = {key: _plain(unknown[key], key) for key in longest[:_MOST_PLAIN]}
        suspects = {key: _plain("list", key) for key in self._suspects if key not in plain and key not in known}
        look = Look(self.reader, self.patience)
        found = look.at([*plain.values(), *suspects.values()])
        for key, belonging in found.items():
            if belonging.spelling is not None:
                self._add(belonging.spelling)
            elif key in plain:
                form = (
                    f"{key!r} is a queue of {belonging.owner.name} ({belonging.how}), in a form that plg does not write"
                )
                self.remarks.append(Remark("foreign-form", form))
        known = {key for queue in self.queues.values() for key in queue.keys}
        for key, queue in plain.items():
            if (key not in found or found[key].spelling is None) and key not in known:
                self.queues[queue.format.name, key] = queue
                self.sizes[key] = sizes[key]
        self.remarks += [Remark("not-told", words) for words in look.unseen([key for key in plain if key not in found])]

    def _tell_silent(self) -> None:
        """The frameworks that have keys there, of which none tells the name of a queue."""
        told = {kind for kind, _ in self.queues}
        for key, owner in self._frameworks.items():
            if not told & owner.kinds:
                words = f"{owner.name} has keys here, such as {key!r}, but none of them names a queue"
                self.remarks.append(Remark("no-queue-told", words))


def _plain(kind: str, key: str) -> QueueInUse:
    [queue] = queues_of([Job("work", Queue(kind, key))])
    return queue
