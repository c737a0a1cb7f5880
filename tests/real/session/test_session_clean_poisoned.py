"""plg clean where somebody else wrote into plg's register: nothing of his counts that plg could not have written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plg.cli.main import main
from plg.targets.register import RUNS, RunEntry

JOB = {"name": "a", "call": None, "encoding": "json", "queue": {"kind": "list", "name": "q"}}


def entry(**more: Any) -> bytes:
    told = {"version": 1, "run": "evil", "scenario": "s", "started": 1.0, "until": 2.0, "planned": 5}
    return json.dumps({**told, "fresh": [], "jobs": [JOB], **more}).encode()


def job(kind: str, name: str, **settings: Any) -> list[dict[str, Any]]:
    return [{**JOB, "call": "shop.f", "queue": {"kind": kind, "name": name, **settings}}]


GARBAGE = {
    "no text": b"\xff\xfe{",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "endless": entry(planned=float("inf")),
    "too many": entry(planned=10**15, jobs=job("rq", "q")),
    "less than none": entry(planned=-5),
    "never": entry(until=float("nan")),
    "before all time": entry(started=-1e18),
    "after all time": entry(started=1e300),
    "no jobs": entry(jobs=[]),
    "jobs of a word": entry(jobs="x"),
    "one key of two types": entry(jobs=[*job("list", "q"), *job("stream", "q")]),
    "settings": entry(jobs=job("bullmq", "q", prefix={"a": 1})),
    "fresh": entry(fresh=[["users", {"a": 1}]]),
    "half a letter": entry(jobs=job("list", "\ud800")),
    "names": entry(run=7),
}


def test_an_entry_as_plg_writes_it_is_read() -> None:
    read = RunEntry.read(entry())
    assert read is not None
    assert RunEntry.read(read.text()) == read


@pytest.mark.parametrize("name", GARBAGE)
def test_an_entry_that_nothing_can_be_done_with_is_none(name: str) -> None:
    assert RunEntry.read(GARBAGE[name]) is None


def test_runs_are_listed_beside_garbage(server, client, here, capsys) -> None:
    client.zadd(RUNS, {**dict.fromkeys(GARBAGE.values(), 1), entry(run="mine\x1b[31m\nyours"): 2})
    assert main(["clean", "--list", "--target", f"unix://{server.path}"]) == 0
    said = capsys.readouterr().out
    assert "mine\\x1b[31m\\x0ayours" in said
    assert "1 run known" in said


@pytest.mark.parametrize(
    ("kind", "queue", "key"),
    [
        ("stream", "users", "users"),
        ("taskiq_stream", "users", "users"),
        ("bullmq", "q", "bull:q:marker"),
        ("bullmq", "q", "bull:q:events"),
    ],
)
@pytest.mark.parametrize("make", ["set", "hset", "zadd", "xadd"])
def test_a_key_that_is_not_what_the_run_would_have_made_stays(
    server, client, here, kind: str, queue: str, key: str, make: str
) -> None:
    """The run, by its entry, found no such key before it began."""
    {
        "set": lambda: client.set(key, "precious"),
        "hset": lambda: client.hset(key, "precious", 1),
        "zadd": lambda: client.zadd(key, {"precious": 1}),
        "xadd": lambda: client.xadd(key, {"event": "precious"}),
    }[make]()
    before = client.dump(key)
    client.zadd(RUNS, {entry(fresh=[[key, None]], jobs=job(kind, queue)): 1})
    assert main(["clean", "evil", "--target", f"unix://{server.path}"]) == 0
    assert client.dump(key) == before
    assert not client.exists(RUNS)
