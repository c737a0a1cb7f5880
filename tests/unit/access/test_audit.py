"""The audit log: what was changed, removed, moved, cut off or torn is found, and said."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checked import environment, full_disk

from plg.access.audit import START, AuditLog, Head, anchor_of, read_anchor
from plg.access.errors import AccessError
from plg.access.verifying import Verified, verify
from plg.redaction import remember


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return made(tmp_path)


def made(folder: Path) -> AuditLog:
    return AuditLog(folder / "data", folder / "elsewhere" / "anchor.json")


def filled(folder: Path, count: int = 8) -> AuditLog:
    log = made(folder)
    for number in range(count):
        log.record("test.start", "kim", {"test": f"t{number}"}, origin="127.0.0.1")
    return log


def lines(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def codes(log: AuditLog, **more) -> list[str]:
    return [fault.code for fault in verify(log, **more).faults]


def test_a_record_says_who_what_when_from_where_and_with_which_versions(log: AuditLog) -> None:
    before = time.time()
    record = log.record("test.start", "kim", {"test": "t1", "rate": 50.0}, origin="192.0.2.1")
    [line] = lines(log)
    told = json.loads(line)
    assert (told["who"], told["event"], told["from"], told["what"]) == (
        "kim", "test.start", "192.0.2.1", {"rate": 50.0, "test": "t1"}
    )  # fmt: skip
    assert set(told["versions"]) == {"plg", "python"}
    assert before - 1 < _moment(told["at"]) < time.time() + 1
    assert (told["seq"], told["prev"], told["hash"]) == (1, START, record.hash)
    assert read_anchor(log.anchor) == Head(1, record.hash)
    assert {path.stat().st_mode & 0o777 for path in (log.path, log.anchor)} == {0o600}
    found = verify(log)
    assert (found.records, found.head, found.faults, found.notes) == (1, Head(1, record.hash), [], [])


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def test_no_secret_and_no_end_of_a_line_gets_in(log: AuditLog) -> None:
    remember(["s3cr3t-canary"])
    log.record(
        "x", "kim\nevil", {"url": "redis://u:pw@h/0", "text": "has s3cr3t-canary", "n": float("inf"), "z": {1: (2,)}}
    )
    log.record("x", "kim", {"long": "x" * 10_000, "many": ["y" * 1999] * 40})
    text = log.path.read_text()
    assert "s3cr3t-canary" not in text
    assert ":pw@" not in text
    assert len(text.splitlines()) == 2
    assert max(map(len, text.splitlines())) < 33_000
    assert codes(log) == []
    assert [record.seq for record in log.tail(10)] == [1, 2]


def test_an_empty_log_is_whole(log: AuditLog) -> None:
    assert verify(log) == Verified()
    assert log.tail(5) == list(log.records()) == []


def test_the_last_ones_are_found_from_the_end(tmp_path: Path) -> None:
    log = filled(tmp_path, 5)
    log.record("big", "kim", {"text": ["z" * 1900] * 15})
    log.record("big", "kim", {"text": ["z" * 1900] * 15})
    log.record("big", "kim", {"text": ["z" * 1900] * 15})
    assert [record.seq for record in log.tail(3)] == [6, 7, 8]
    assert [record.seq for record in log.tail(100)] == [*range(1, 9)]
    assert log.tail(0) == []
    assert [record.seq for record in log.records(since=6)] == [7, 8]
    assert [log.path.read_bytes()[record.offset :][:7] for record in log.records()] == [b'{"at":"'] * 8


def _rehash(found: list[bytes], first: int) -> list[bytes]:
    """The records from ``first`` on, chained anew by the published rule, as somebody would who knows it."""
    import hashlib

    prev = json.loads(found[first - 1])["hash"] if first else START
    for at in range(first, len(found)):
        told = json.loads(found[at])
        told["prev"] = prev
        del told["hash"]
        body = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
        told["hash"] = prev = hashlib.sha256(body).hexdigest()
        found[at] = json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    return found


def _numbered(line: bytes, seq: int) -> bytes:
    return line.replace(b'"seq":8', b'"seq":%d' % seq)


def _swap(found: list[bytes]) -> list[bytes]:
    found[2], found[5] = found[5], found[2]
    return found


TAMPERED = {
    "changed": (lambda found: [*found[:3], found[3].replace(b"t3", b"tX"), *found[4:]], {"changed"}),
    "blank": (lambda found: [*found[:3], found[3].replace(b'"who"', b' "who"'), *found[4:]], {"changed"}),
    "garbage": (lambda found: [*found[:3], b"garbage\n", *found[3:]], {"changed"}),
    "first removed": (lambda found: found[1:], {"removed"}),
    "one removed": (lambda found: [*found[:3], *found[4:]], {"removed"}),
    "three removed": (lambda found: [*found[:3], *found[6:]], {"removed"}),
    "reordered": (_swap, {"reordered"}),
    "repeated": (lambda found: [*found[:4], found[3], *found[4:]], {"repeated"}),
    "last cut off": (lambda found: found[:-1], {"truncated"}),
    "all cut off": (lambda found: [], {"truncated"}),
    "chained anew": (lambda found: _rehash([*found[:3], found[3].replace(b"t3", b"tX"), *found[4:]], 3), {"replaced"}),
    "removed and chained anew": (lambda found: _rehash([*found[:3], *found[4:]], 3), {"removed", "replaced"}),
    "two forged": (lambda found: _rehash([*found, *(_numbered(found[-1], n) for n in (9, 10))], 8), {"added"}),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_done_to_a_log_is_named_now_and_after_later_records(tmp_path: Path, how: str) -> None:
    log = filled(tmp_path)
    change, expected = TAMPERED[how]
    log.path.write_bytes(b"".join(change(lines(log))))
    assert set(codes(log)) == expected
    again = made(tmp_path)
    for number in range(3):
        again.record("test.stop", "lee", {"test": f"t{number}"})
    assert expected & set(codes(again)), "what comes later hides nothing"
    assert [record.document["who"] for record in again.tail(3)] == ["lee"] * 3


def test_an_anchor_that_is_taken_away_is_missed(tmp_path: Path) -> None:
    log = filled(tmp_path)
    kept = verify(log).head
    log.anchor.unlink()
    assert codes(log) == ["replaced"]
    assert codes(log, head=kept) == []
    log.record("test.stop", "lee")
    assert codes(log) == ["replaced"]
    assert verify(log).faults[0].message.startswith("the log had no anchor at ")


def test_a_head_that_was_noted_elsewhere_counts_in_place_of_the_anchor(tmp_path: Path) -> None:
    log = filled(tmp_path, 4)
    noted = verify(log).head
    log.record("test.stop", "kim")
    assert codes(log, head=noted) == []
    log.path.write_bytes(b"".join(_rehash([line.replace(b"t1", b"tX") for line in lines(log)], 0)))
    log.anchor.write_text(json.dumps({"seq": 5, "hash": json.loads(lines(log)[-1])["hash"]}))
    assert codes(log) == [], "who can write both leaves no trace here"
    assert codes(log, head=noted) == ["replaced"]


@pytest.mark.parametrize("cut", [1, 40, 200, -2])
def test_a_torn_record_is_told_exactly_and_does_not_stop_the_log(tmp_path: Path, cut: int) -> None:
    """As a machine leaves it that loses its power in mid-write: the anchor is still that of the record before."""
    log = filled(tmp_path, 3)
    anchor = log.anchor.read_bytes()
    log.record("test.stop", "kim")
    whole = log.path.read_bytes()
    begins = whole[:-1].rfind(b"\n") + 1
    torn = whole[begins:][:cut]
    log.path.write_bytes(whole[:begins] + torn)
    log.anchor.write_bytes(anchor)
    found = verify(log)
    assert (found.records, found.faults) == (3, [])
    assert [note.message for note in found.notes] == [
        f"the last {len(torn)} bytes, from byte {begins}, are torn: a record was being written"
    ]
    log.record("test.start", "kim")
    found = verify(log)
    assert (found.records, found.faults) == (5, [])
    assert [note.message for note in found.notes] == [f"{len(torn)} bytes at byte {begins} were torn by a crash"]
    changed = log.path.read_bytes().replace(torn + b"\n", torn[:-1] + b"~\n")
    log.path.write_bytes(changed)
    assert "changed" in codes(log)


def test_a_record_that_lacks_its_line_end_alone_is_whole(tmp_path: Path) -> None:
    log = filled(tmp_path, 3)
    log.path.write_bytes(log.path.read_bytes()[:-1])
    assert (verify(log).records, codes(log), verify(log).notes) == (3, [], [])
    log.record("test.stop", "kim")
    assert (verify(log).records, codes(log), verify(log).notes) == (4, [], [])


def test_a_record_that_the_anchor_has_not_seen_is_a_crash_once_and_no_more(tmp_path: Path) -> None:
    log = filled(tmp_path, 3)
    anchor = log.anchor.read_bytes()
    log.record("test.stop", "kim")
    log.anchor.write_bytes(anchor)
    found = verify(log)
    assert (found.faults, [note.code for note in found.notes]) == ([], ["added"])
    log.record("test.stop", "kim")
    assert (codes(log), verify(log).notes) == ([], [])


@settings(max_examples=60)
@given(st.data())
def test_no_change_of_one_byte_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = filled(folder, 3)
    whole = bytearray(log.path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 2))
    whole[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    log.path.write_bytes(whole)
    assert codes(log) != []


WRITER = """
import sys
from pathlib import Path
from plg.access.audit import AuditLog
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = AuditLog(folder / "data", folder / "elsewhere" / "anchor.json")
print("ready", flush=True)
for number in range(count):
    log.record("test.start", name, {"number": number, "text": "x" * 1500})
    print(number, flush=True)
"""


def writer(folder: Path, name: str, count: int, **options) -> subprocess.Popen[str]:
    options.setdefault("env", environment())
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, **options,
    )  # fmt: skip


def test_two_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    both = [writer(tmp_path, name, 60) for name in ("a", "b")]
    for each in both:
        out, err = each.communicate(timeout=60)
        assert each.returncode == 0, err
        assert len(out.splitlines()) == 61
    found = verify(made(tmp_path))
    assert (found.records, found.faults, found.notes) == (120, [], [])
    told = [(record.document["who"], record.document["what"]["number"]) for record in made(tmp_path).records()]
    assert [number for who, number in told if who == "a"] == [*range(60)]
    assert [number for who, number in told if who == "b"] == [*range(60)]


@pytest.mark.parametrize("seed", range(4))
def test_killed_in_the_middle_it_verifies_and_has_all_that_was_confirmed(tmp_path: Path, seed: int) -> None:
    process = writer(tmp_path, "a", 100_000)
    assert process.stdout is not None
    process.stdout.readline()
    confirmed = -1
    kill = threading.Timer(random.Random(seed).uniform(0.02, 0.3), process.kill)
    kill.start()
    for line in process.stdout:
        confirmed = int(line) if line.endswith("\n") else confirmed
    process.wait()
    process.communicate()
    log = made(tmp_path)
    assert codes(log) == []
    log.record("test.stop", "after")
    found = verify(log)
    assert found.faults == []
    numbers = [record.document["what"].get("number") for record in log.records() if record.document["who"] == "a"]
    assert numbers == [*range(len(numbers))]
    assert len(numbers) > confirmed


def test_a_full_disk_refuses_the_record_and_leaves_the_log_whole(tmp_path: Path) -> None:
    process = writer(tmp_path, "a", 100, **full_disk(20_000))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "AccessError" in err
    assert "file too large" in err
    log = made(tmp_path)
    written = len(out.splitlines()) - 1
    found = verify(log)
    assert (found.records, found.faults, found.notes) == (written, [], [])
    assert 5 < written < 20
    log.record("test.start", "b")
    assert codes(log) == []


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(AccessError, match="data"):
        made(tmp_path).record("x", "kim")
    log = AuditLog(tmp_path / "other", tmp_path / "data" / "anchor.json")
    with pytest.raises(AccessError, match="anchor"):
        log.record("x", "kim")
    assert log.path.read_bytes() == b""


def test_the_anchor_stands_outside_the_data_folder(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    place = anchor_of(tmp_path / "data", state)
    assert place.parent == tmp_path / "state" / "plg" / "anchors"
    assert place != anchor_of(tmp_path / "other", state)
    assert anchor_of(tmp_path / "data", {"PLG_AUDIT_ANCHORS": "/mnt/a"}) == Path("/mnt/a", place.name)
    assert os.fspath(anchor_of(tmp_path, {"HOME": "/home/kim"})).startswith("/home/kim/.local/state/plg/anchors/audit-")
