"""The audit log: who did what, when and from where, in records of which none can be changed, removed, moved or cut off
without that being found.

``audit.jsonl`` has a record a line, canonical JSON. Each holds its number and the hash of the one before; its own hash
is SHA-256 over the rest of it. The number and hash of the last one, the *anchor*, stand in a file outside the data
folder, so that a log which was cut off, or written anew as a whole, does not fit it.

Whoever writes holds ``audit.jsonl.lock``. What has a part of it missing on disk is taken back; where even that was not
possible, by a crash of the machine, the next record says which bytes are torn. Where the log does not fit its anchor
when a record is added, a record says that too, and the numbers go on behind those of the anchor: no later record hides
what was lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from plg import __version__
from plg.access.errors import AccessError
from plg.access.files import locked, replace_file, sync_folder, unusable, write_all
from plg.dataclass import dataclass
from plg.redaction import hide_known, redact

FILE = "audit.jsonl"
START = "0" * 64
"""What stands for the hash before the first record."""
_LONGEST = 2000
"""Letters of one text in a record; what is longer is cut."""
_MOST = 32_768
"""Bytes of a record."""
_FIELDS = ("seq", "at", "event", "who", "from", "what", "versions", "prev", "hash")
VERSIONS = {"plg": __version__, "python": platform.python_version()}


@dataclass(frozen=True, slots=True)
class Head:
    """The last record: its number and hash. Before the first one these are 0 and `START`."""

    seq: int = 0
    hash: str = START


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the log. ``document`` is all of it, ``offset`` the byte that it begins at."""

    seq: int
    hash: str
    prev: str
    document: Mapping[str, Any] = field(repr=False)
    offset: int = 0

    @staticmethod
    def read(line: bytes, offset: int) -> Record | None:
        """The record in a line; None where there is none that is whole and as it was written."""
        try:
            document = json.loads(line)
            if tuple(sorted(document)) != tuple(sorted(_FIELDS)):
                return None
            seq, told, prev = document["seq"], document["hash"], document["prev"]
            whole = isinstance(seq, int) and isinstance(told, str) and isinstance(prev, str)
            if not whole or _line(document) != line or _hash(document) != told:
                return None
        except (ValueError, TypeError, LookupError, RecursionError):
            return None
        return Record(seq, told, prev, document, offset)


class AuditLog:
    """The log of one data folder. Safe for threads and processes.

    ``anchor`` is the file of the anchor (default: see `anchor_of`), ``clock`` tells seconds since the epoch.
    """

    def __init__(self, data: Path, anchor: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = data / FILE
        self.anchor = anchor_of(data) if anchor is None else anchor
        self._clock = clock

    def record(self, event: str, who: str, what: Mapping[str, Any] | None = None, *, origin: str = "") -> Record:
        """Add a record; it is on disk when this returns.

        ``origin`` is from where ``who`` came. Secrets that plg knows are hidden. Raises `AccessError` where it cannot
        be written: then nothing of it stays, and what it tells of must not be done.
        """
        with locked(self.path):
            try:
                return self._add(event, who, dict(what or {}), origin)
            except OSError as error:
                raise unusable(self.path, error) from None

    def _add(self, event: str, who: str, what: dict[str, Any], origin: str) -> Record:
        holder = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(holder).st_size
            made, open_ended = self._before(holder, size)
            made.append(self._made(_head_of(made[-1]), event, who, what, origin))
            data = b"\n" * open_ended + b"".join(_line(each) + b"\n" for each in made[1:])
            try:
                write_all(holder, data)
                os.fsync(holder)
                write_anchor(self.anchor, _head_of(made[-1]), self.path)
            except BaseException:
                os.ftruncate(holder, size)
                raise
            if size == 0:
                sync_folder(self.path.parent)
        finally:
            os.close(holder)
        line = _line(made[-1])
        return Record(made[-1]["seq"], made[-1]["hash"], made[-1]["prev"], made[-1], size + len(data) - len(line) - 1)

    def _before(self, holder: int, size: int) -> tuple[list[Mapping[str, Any]], bool]:
        """What the next record follows: the last one, and those that have to be written about its state first; and
        whether the last line has no end."""
        last, torn, open_ended = _end_of(holder, size)
        head = Head() if last is None else Head(last.seq, last.hash)
        told = read_anchor(self.anchor)
        made: list[Mapping[str, Any]] = [{"seq": head.seq, "hash": head.hash}]
        if torn:
            about: dict[str, Any] = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
            made.append(self._made(head, "audit.torn", "plg", about, ""))
        if not _fits(told, last):
            about = {
                "anchor_seq": None if told is None else told.seq, "anchor_hash": None if told is None else told.hash,
                "log_seq": head.seq, "log_hash": head.hash,
            }  # fmt: skip
            furthest = max((_head_of(made[-1]), told or head), key=lambda each: each.seq)
            made.append(self._made(furthest, "audit.discontinuity", "plg", about, ""))
        return made, open_ended

    def _made(self, head: Head, event: str, who: str, what: dict[str, Any], origin: str) -> dict[str, Any]:
        now = self._clock()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        document: dict[str, Any] = {
            "seq": head.seq + 1, "at": at, "event": event, "who": _safe(who), "from": _safe(origin),
            "what": _safe(what), "versions": VERSIONS, "prev": head.hash,
        }  # fmt: skip
        if len(_line(document)) > _MOST:
            document["what"] = {"left_out": "it was too long", "keys": sorted(map(str, what))[:50]}
        return {**document, "hash": _hash(document)}

    def records(self, since: int = 0) -> Iterator[Record]:
        """The records after the number ``since``, the oldest first; what is no record is left out."""
        for _, record, _ in lines_of(self.path):
            if record is not None and record.seq > since:
                yield record

    def tail(self, count: int) -> list[Record]:
        """The last records, the oldest first."""
        found: list[Record] = []
        try:
            with self.path.open("rb") as file:
                at, rest = file.seek(0, os.SEEK_END), b""
                while at > 0 and len(found) <= count:
                    step = min(1 << 16, at)
                    at -= step
                    file.seek(at)
                    rest = file.read(step) + rest
                    found = _records_in(rest, at, whole=at == 0)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unusable(self.path, error) from None
        return found[-count:] if count else []


def lines_of(path: Path) -> Iterator[tuple[bytes, Record | None, int]]:
    """Each line with its record (None where it is none) and the byte it begins at. Raises `AccessError`."""
    offset = 0
    try:
        with path.open("rb") as file:
            for line in file:
                bare = line.removesuffix(b"\n")
                yield line, Record.read(bare, offset), offset
                offset += len(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(path, error) from None


def anchor_of(data: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Where the anchor of a data folder's log stands: in the folder that ``PLG_AUDIT_ANCHORS`` names, else in the
    user's folder for states; the name is made of the data folder's."""
    found = os.environ if environ is None else environ
    home = Path(found.get("XDG_STATE_HOME") or Path(found.get("HOME") or Path.home(), ".local", "state"))
    folder = Path(found["PLG_AUDIT_ANCHORS"]) if found.get("PLG_AUDIT_ANCHORS") else home / "plg" / "anchors"
    name = hashlib.sha256(str(data.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    return folder / f"audit-{name}.json"


def read_anchor(path: Path) -> Head | None:
    """What the anchor says; None where there is none yet. Raises `AccessError` where it cannot be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Head(int(told["seq"]), str(told["hash"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error) from None
    except (ValueError, TypeError, LookupError):
        raise AccessError(f"{path}, the anchor of the audit log, cannot be read") from None


def write_anchor(path: Path, head: Head, log: Path) -> None:
    """Let the anchor say this."""
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True, mode=0o700)
    replace_file(path, json.dumps({"seq": head.seq, "hash": head.hash, "log": str(log.resolve())}) + "\n")


def _fits(anchor: Head | None, last: Record | None) -> bool:
    """Whether a log with this last record is the one of the anchor. A crash may have kept one record from it."""
    if last is None or anchor is None:
        return last is None and (anchor is None or anchor.seq == 0)
    return anchor == Head(last.seq, last.hash) or anchor == Head(last.seq - 1, last.prev)


def _end_of(holder: int, size: int) -> tuple[Record | None, bytes, bool]:
    """The last record of an open log, the torn bytes behind it, and whether its last line has no end."""
    at, rest = size, b""
    while True:
        step = min(1 << 16, at)
        at -= step
        rest = os.pread(holder, step, at) + rest
        whole, line_end, torn = rest.rpartition(b"\n")
        found = _records_in(whole, at, whole=at == 0) if line_end else []
        if (only := Record.read(torn, size - len(torn))) is not None and (line_end or at == 0):
            return only, b"", True
        if found or at == 0:
            return found[-1] if found else None, torn, bool(torn)


def _records_in(data: bytes, offset: int, *, whole: bool) -> list[Record]:
    """The records in a piece of a log that begins at a line where it is ``whole``."""
    lines = data.split(b"\n")
    found, at = [], offset
    for number, line in enumerate(lines):
        record = Record.read(line, at) if line and (number or whole) else None
        if record is not None:
            found.append(record)
        at += len(line) + 1
    return found


def _head_of(document: Mapping[str, Any]) -> Head:
    return Head(document["seq"], document["hash"])


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def _hash(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_line({name: document[name] for name in _FIELDS if name != "hash"})).hexdigest()


def _safe(value: Any) -> Any:
    """A value as it may be written: without secrets, and of bounded length."""
    if isinstance(value, str):
        text = hide_known(redact(value) if "://" in value else value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(value, Mapping):
        return {str(_safe(str(name))): _safe(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(each) for each in value]
    if isinstance(value, float) and not -1e308 < value < 1e308:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else _safe(str(value))
