"""What of a server would surprise, by what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plg.targets.doctor.diagnosis import Diagnosis, Looked, Remark, ServerFacts, Writing
from plg.targets.doctor.server import remarks_on

CALM = ServerFacts(
    "redis", "8.0.0", "alone", role="master", memory=1_000_000, memory_limit=0, memory_policy="noeviction",
    persistence="aof", answer=0.0002, clock_offset=0.001, clock_error=0.0001,
)  # fmt: skip


def codes(facts: ServerFacts, **info: str) -> list[str]:
    return [each.code for each in remarks_on(facts, info)]


def test_a_calm_server_surprises_nobody() -> None:
    assert codes(CALM) == []


@pytest.mark.parametrize(
    ("changes", "info", "code"),
    [
        ({"memory_policy": "allkeys-lfu"}, {}, "eviction"),
        ({"memory_policy": "volatile-lru", "memory_limit": 10_000_000}, {}, "eviction"),
        ({"memory": 81, "memory_limit": 100}, {}, "low-memory"),
        ({"answer": 0.021}, {}, "slow-answer"),
        ({"clock_offset": 0.2}, {}, "clock-offset"),
        ({"clock_offset": -0.2}, {}, "clock-offset"),
        ({"role": "replica"}, {"master_host": "one", "master_port": "6379"}, "replica"),
        ({}, {"rdb_last_bgsave_status": "err"}, "persistence-fails"),
        ({}, {"aof_last_write_status": "err"}, "persistence-fails"),
        ({}, {"loading": "1"}, "loading"),
    ],
)
def test_each_surprise_has_its_code(changes: dict, info: dict[str, str], code: str) -> None:
    assert codes(replace(CALM, **changes), **info) == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": 79, "memory_limit": 100},
        {"answer": 0.019},
        # What is known of the clock is no better than that.
        {"clock_offset": 0.2, "clock_error": 0.15},
        {"memory": None, "memory_policy": None, "answer": None, "clock_offset": None, "clock_error": None},
    ],
)
def test_what_is_within_bounds_or_not_known_is_not_warned_of(changes: dict) -> None:
    assert codes(replace(CALM, **changes)) == []


def test_the_sentences_name_the_figures() -> None:
    facts = replace(CALM, memory=9_000_000, memory_limit=10_000_000, clock_offset=-0.25, answer=0.05)
    said = " ".join(each.message for each in remarks_on(facts, {}))
    assert "1MB of 10MB left (90% used)" in said.replace("are left", "left")
    assert "250ms behind this machine's" in said
    assert "50ms until an answer is back" in said


def test_the_document_has_what_programs_rely_on() -> None:
    found = Diagnosis("redis://x/0", CALM, Writing(None, "not told"), (), (Remark("ttl", "soon"),), Looked(7, 3, 9))
    told = found.document()
    assert (told["server"], told["version"]) == ("redis", "8.0.0")
    assert told["warnings"] == [{"code": "ttl", "message": "soon"}]
    assert told["queues"] == []
    assert told["looked"] == {"commands": 7, "keys": 3, "keys_there": 9}
