"""The server itself: who it is, what it keeps, how fast it answers, and what of it would surprise."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

from plg.targets.doctor.diagnosis import Mode, Remark, ServerFacts
from plg.targets.doctor.reader import Reader
from plg.targets.preflight import identity
from plg.units import format_duration, format_percent, format_size

_PINGS = 5
_SLOW = 0.02
"""Seconds from which an answer is called slow: each look and each batch of jobs waits so long."""
_OFFSET = 0.1
"""Seconds by which two clocks may differ before waits that are compared across them are wrong."""
_FULL = 0.8


def facts_of(reader: Reader, info: Mapping[str, str], mode: Mode, nodes: int) -> ServerFacts:
    """What INFO, some PINGs and TIME tell."""
    name, version = identity(info)
    offset, error = _clock(reader)
    return ServerFacts(
        name,
        version,
        mode,
        nodes,
        role={"slave": "replica"}.get(info.get("role", ""), info.get("role")),
        memory=_number(info.get("used_memory")),
        memory_limit=_number(info.get("maxmemory")),
        memory_policy=info.get("maxmemory_policy"),
        persistence=_persistence(reader, info),
        answer=_answer(reader),
        clock_offset=offset,
        clock_error=error,
    )


def remarks_on(facts: ServerFacts, info: Mapping[str, str]) -> Iterator[Remark]:
    """What of the server would surprise."""
    if facts.role == "replica":
        master = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        read_only = info.get("slave_read_only", "1") != "0"
        how = "read-only replica: it takes no jobs" if read_only else "writable replica: its master may overwrite jobs"
        yield Remark("replica", f"the server is a {how} (its master is {master}: give that one's URL)")
    yield from _on_memory(facts)
    if info.get("rdb_last_bgsave_status") == "err" or info.get("aof_last_write_status") == "err":
        yield Remark(
            "persistence-fails", "the server could not save its data last time: it may refuse all jobs (MISCONF)"
        )
    if info.get("loading") == "1":
        yield Remark("loading", "the server is still reading its data from disk")
    if facts.answer is not None and facts.answer > _SLOW:
        yield Remark(
            "slow-answer",
            f"it takes {format_duration(facts.answer)} until an answer is back (median of {_PINGS}): latency holds "
            "that, and looks at the queues are that old",
        )
    if facts.clock_offset is not None and abs(facts.clock_offset) > _OFFSET + (facts.clock_error or 0.0):
        way = "ahead of" if facts.clock_offset > 0 else "behind"
        yield Remark(
            "clock-offset",
            f"the server's clock is {format_duration(abs(facts.clock_offset))} {way} this machine's: ages and waits "
            "that compare the two are wrong by that",
        )


def _on_memory(facts: ServerFacts) -> Iterator[Remark]:
    policy, limit, used = facts.memory_policy, facts.memory_limit or 0, facts.memory or 0
    if policy not in (None, "noeviction"):
        when = f"when {format_size(limit)} are full" if limit else "once a maxmemory is set (there is none now)"
        what = "only keys with a time to live go" if policy and policy.startswith("volatile") else "whole queues may go"
        yield Remark("eviction", f"maxmemory-policy {policy} evicts keys {when}: {what}; queues want noeviction")
    if limit and used > _FULL * limit:
        yield Remark(
            "low-memory",
            f"{format_size(max(0, limit - used))} of {format_size(limit)} left ({format_percent(used / limit)} used): "
            "a run may fill it",
        )


def on_databases(reader: Reader, info: Mapping[str, str], database: int, *, empty: bool) -> Iterator[Remark]:
    """Whether the queues may be in another database of the server."""
    others = {name: told for name, told in info.items() if name[:2] == "db" and name[2:].isdigit()}
    others.pop(f"db{database}", None)
    if empty and others:
        told = ", ".join(
            f"{name[2:]} ({words.partition(',')[0].removeprefix('keys=')} keys)" for name, words in others.items()
        )
        yield Remark("other-database", f"database {database} is empty, but others are not: {told}")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _persistence(reader: Reader, info: Mapping[str, str]) -> str | None:
    """What is kept on disk. INFO tells of the AOF alone; who may not ask for the configuration is not told the rest."""
    aof = info.get("aof_enabled")
    [answer] = reader.ask_seed(("CONFIG", "GET", "save"))
    saves = answer[1] if isinstance(answer, list) and len(answer) == 2 else None
    if aof is None and saves is None:
        return None
    parts = ["rdb"] * bool(saves) + ["aof"] * (aof == "1")
    if not parts:
        return "none" if saves is not None else None
    return "+".join(parts)


def _answer(reader: Reader) -> float | None:
    """The median time (s) until a PING is answered."""
    times = []
    for _ in range(_PINGS):
        begun = time.perf_counter()
        [answer] = reader.ask_seed(("PING",))
        if isinstance(answer, Exception):
            return None
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _clock(reader: Reader) -> tuple[float | None, float | None]:
    """How far the server's clock is ahead (s), and how well that is known: half of the shortest round trip of some."""
    best: tuple[float | None, float | None] = None, None
    for _ in range(_PINGS):
        before, begun = time.time(), time.perf_counter()
        [answer] = reader.ask_seed(("TIME",))
        taken = time.perf_counter() - begun
        if isinstance(answer, Exception):
            return None, None
        if best[1] is None or taken / 2 < best[1]:
            best = _moment(answer) - (before + taken / 2), taken / 2
    return best


def _moment(answer: Any) -> float:
    return int(answer[0]) + int(answer[1]) / 1e6
