"""The whole of an examination: connect, find out what the server is, what is in it, and what of that would surprise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from plg.targets.address import Address, parse_address
from plg.targets.asked import Alone, Nodes
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.cluster import Cluster
from plg.targets.doctor import surprises
from plg.targets.doctor.depths import look_into, newest, without_groups
from plg.targets.doctor.diagnosis import Diagnosis, FoundQueue, Looked, Mode, Remark
from plg.targets.doctor.discovery import MOST_FOUND, Discovery
from plg.targets.doctor.reader import Reader
from plg.targets.doctor.sentinels import on_sentinels
from plg.targets.doctor.server import facts_of, on_databases, remarks_on
from plg.targets.doctor.writing import may_write
from plg.targets.preflight import greet, may_be_cluster
from plg.targets.register import RUNS
from plg.units import counted

PATIENCE = 6.0
"""Seconds that the names of keys are looked through, and that the marks of frameworks are looked for."""
MOST_QUEUES = 200


def examine(where: str, *, timeout: float = 5.0) -> Diagnosis:
    """What is at ``where``, a URL. Writes nothing.

    ``timeout`` (s) is what connecting and each round trip may take; the URL may state its own. Raises `TargetError`
    where there is no server to be asked.
    """
    address = parse_address(where)
    patience = address.connect_timeout or timeout

    def connect(place: Address) -> Client:
        return Client(place, connect_timeout=patience, answer_timeout=patience)

    seed = connect(address)
    try:
        info = greet(seed)
        if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):
            return _of_sentinel(seed, info)
        cluster = Cluster.found_by(seed, ()) if may_be_cluster(info) else None
        if cluster is None:
            return _of(Reader(Alone(seed), seed), info, None, tuple(on_sentinels(address, connect)))
        return _of_cluster(seed, info, cluster, connect)
    finally:
        seed.close()


def _of_cluster(
    seed: Client, info: Mapping[str, str], cluster: Cluster, connect: Callable[[Address], Client]
) -> Diagnosis:
    def home(key: str) -> str:
        holder = cluster.holder(key)
        return seed.address.shown if holder is None else holder.shown

    nodes = Nodes([cluster.address(node) for node in cluster.slots.nodes], cluster.holder, connect)
    try:
        return _of(Reader(nodes, seed, home), info, cluster)
    finally:
        nodes.close()


def _of(reader: Reader, info: Mapping[str, str], cluster: Cluster | None, before: tuple[Remark, ...] = ()) -> Diagnosis:
    mode: Mode = "sentinel" if reader.seed.address.sentinels else "alone"
    facts = facts_of(reader, info, mode if cluster is None else "cluster", len(reader.nodes))
    search = Discovery(reader, PATIENCE)
    looked = search.search()
    queues = sorted(
        search.queues.values(), key=lambda each: (each.format.taken is not None, each.format.name, each.key)
    )
    remarks = [*before, *remarks_on(facts, info), *search.remarks]
    if len(queues) > MOST_QUEUES:
        more = " or more" * (len(queues) >= MOST_FOUND)
        words = f"{len(queues):,}{more} queues were found, and {MOST_QUEUES} of them looked into"
        remarks.append(Remark("not-all-queues-seen", words))
    found = look_into(reader, queues[:MOST_QUEUES])
    remarks += _surprises(reader, found, clustered=cluster is not None)
    remarks += _on_runs(reader)
    remarks += on_databases(reader, info, _database(reader.seed.address), empty=not looked.of)
    writing = may_write(reader, facts, [each.queue for each in found])
    if writing.allowed is False:
        remarks.append(Remark("may-not-write", f"plg may not write there: {writing.how}"))
    return _told(reader, facts, writing, found, remarks, Looked(reader.commands, looked.keys, looked.of))


def _surprises(reader: Reader, found: list[FoundQueue], *, clustered: bool) -> list[Remark]:
    return [
        *surprises.on_queues(found),
        *surprises.on_foreign_jobs(found, newest(reader, found)),
        *surprises.on_streams(without_groups(reader, found)),
        *(surprises.on_cluster(found) if clustered else ()),
        *surprises.on_frameworks(found),
    ]


def _on_runs(reader: Reader) -> list[Remark]:
    """What is written down of earlier runs of plg."""
    [runs] = reader.ask([(("ZCARD", RUNS), "")])
    if not isinstance(runs, int) or not runs:
        return []
    words = f"{counted(runs, 'run')} of plg may have left jobs or results: plg clean --list --target URL tells which"
    return [Remark("earlier-runs", words)]


def _of_sentinel(seed: Client, info: Mapping[str, str]) -> Diagnosis:
    """Of a Sentinel: who its masters are."""
    reader = Reader(Alone(seed), seed)
    facts = replace(facts_of(reader, info, "sentinel", 1), role="sentinel")
    told = [dict(_pairs(words)) for name, words in info.items() if name.startswith("master") and name[6:].isdigit()]
    stem = f"redis+sentinel://{seed.place}"
    masters = sorted(f"{stem}/{each.get('name', '?')}/0 for {each.get('address', '?')}" for each in told)
    known = f": give the URL of its master ({', '.join(masters)})" if masters else ""
    remark = Remark("sentinel", f"this is a Sentinel, which keeps no queues{known}")
    return _told(reader, facts, may_write(reader, facts, ()), [], [remark], Looked(reader.commands, 0, None))


def _pairs(told: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (part.partition("=") for part in told.split(","))]


def _told(
    reader: Reader, facts: Any, writing: Any, found: list[FoundQueue], remarks: list[Remark], looked: Looked
) -> Diagnosis:
    hide = reader.seed.address.hide
    hidden = tuple(Remark(each.code, hide(each.message)) for each in remarks)
    return Diagnosis(reader.seed.address.shown, facts, writing, tuple(found), hidden, looked)


def _database(address: Address) -> int:
    return int(str(address.options.get("db") or 0))


__all__ = ["TargetError", "examine"]
