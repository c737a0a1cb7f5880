"""What plg asks a server before it sends a job: who it is, whether it takes writes, and what the queues are now.

Nothing here writes: whether a job may be written is asked by queueing the command in a transaction that is discarded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from plg.dataclass import dataclass
from plg.queues.use import QueueInUse
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import explain, own_words

_NAMES = ("valkey", "dragonfly", "keydb", "kvrocks", "garnet", "redict", "redis")
"""Servers that state their own version as ``<name>_version``; those before redis state that of Redis too."""

_BEARABLE = ("OOM", "MISCONF", "NOREPLICAS")
"""Refusals of a write that pass by themselves: the run may start and counts what is refused."""


@dataclass(frozen=True, slots=True)
class Findings:
    """``name`` and ``version`` of the server (version "" where it does not say) and remarks worth showing."""

    name: str
    version: str
    notes: tuple[str, ...] = ()


def greet(client: Client) -> Mapping[str, str]:
    """The fields of the server's INFO, none where it does not tell. Raises `TargetError` where it takes no commands."""
    [answer] = client.ask([("PING",)])
    if isinstance(answer, Exception):
        raise explain(answer, client.address.shown)
    return _info(client)


def may_be_cluster(facts: Mapping[str, str]) -> bool:
    """Whether the server with these facts might be a node of a cluster: it says so, or says nothing of it."""
    return facts.get("cluster_enabled", "1") == "1"


def inspect(
    client: Client,
    facts: Mapping[str, str],
    queues: Sequence[QueueInUse],
    holds: Callable[[str], bool] = lambda key: True,
) -> Findings:
    """Looks at the server behind ``client``, whose `greet` gave ``facts``, and at those keys of the queues that it
    ``holds``. Raises `TargetError` where jobs cannot be written.
    """
    _refuse_wrong_role(client, facts)
    _refuse_wrong_types(client, queues, holds)
    name, version = identity(facts)
    notes = (*_remarks(facts), *_rehearse(client, queues, holds))
    return Findings(name, client.address.hide(version), tuple(map(client.address.hide, notes)))


def _info(client: Client) -> Mapping[str, str]:
    """The fields of INFO; none where the user may not ask or the server does not know the command."""
    answers = client.ask_gently([("INFO",)])
    if answers is None or not isinstance(answers[0], bytes):
        return {}
    lines = answers[0].decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def identity(facts: Mapping[str, str]) -> tuple[str, str]:
    """What the server is and its version, "" where it does not say."""
    for name in _NAMES:
        version = facts.get(f"{name}_version")
        if version:
            return name, version.removeprefix("df-v").removeprefix("v")
    return "redis", ""


_BY_SENTINEL = "(redis+sentinel://HOST:PORT/MASTER/DB is the URL of a master that it tells of)"


def _refuse_wrong_role(client: Client, facts: Mapping[str, str]) -> None:
    shown = client.address.shown
    if "sentinel" in (facts.get("redis_mode"), facts.get("server_mode")):
        raise TargetError("refused", f"{shown} is a Sentinel, which keeps no queues {_BY_SENTINEL}")
    if facts.get("role") == "slave" and facts.get("slave_read_only", "1") != "0":
        master = client.address.hide(f"{facts.get('master_host', '?')}:{facts.get('master_port', '?')}")
        raise TargetError("refused", f"{shown} is a read-only replica (its master is {master}: give that one's URL)")


def _refuse_wrong_types(client: Client, queues: Sequence[QueueInUse], holds: Callable[[str], bool]) -> None:
    wanted = {key: kind for queue in queues for key, kind in queue.keys.items() if holds(key)}
    answers = client.ask_gently([("TYPE", key) for key in wanted]) if wanted else None
    if answers is None:
        return
    for (key, kind), answer in zip(wanted.items(), answers, strict=True):
        if isinstance(answer, Exception):
            _refuse_misplaced(client, key, answer)
            continue
        present = client.address.hide(answer.decode(errors="replace"))
        if present not in ("none", kind):
            raise TargetError(
                "refused",
                f"{client.address.shown} holds {key!r} as a {present}, "
                f"but the scenario writes a {kind} to it (choose another name, or another database)",
            )


def _refuse_misplaced(client: Client, key: str, answer: Exception) -> None:
    """A cluster that keeps the key elsewhere refuses every job; a user who may not ask for the type may still write."""
    from redis.exceptions import AskError, ClusterDownError

    if isinstance(answer, AskError | ClusterDownError):  # MOVED is a kind of ASK in redis-py
        raise explain(answer, f"{client.address.shown}, queue {key!r},")


def _rehearse(client: Client, queues: Sequence[QueueInUse], holds: Callable[[str], bool]) -> tuple[str, ...]:
    """Queues the commands of one job a queue in a transaction and discards it.

    The server then checks permissions, memory and role.

    Raises on a refusal that will last; a passing one becomes a remark.
    """
    writes = [(queue, words) for queue in queues for words in queue.rehearsal() if holds(key_of(words))]
    if not writes:
        return ()
    # MULTI goes alone: where it is forbidden, the writes after it would be taken for real.
    if client.ask_gently([("MULTI",)]) != [b"OK"]:
        return ()
    answers = client.ask_gently([*(words for _, words in writes), ("DISCARD",)]) or []
    if answers[-1:] != [b"OK"]:
        client.close()  # else what is asked next would be queued as well
    remarks = []
    for (queue, _), answer in zip(writes, answers, strict=False):
        if not isinstance(answer, Exception):
            continue
        words = own_words(answer)
        if not words.startswith(_BEARABLE):
            raise explain(answer, f"{client.address.shown}, queue {queue.key!r},")
        remarks.append(f"the server refuses writes to {queue.key!r} at present: {words}")
    return tuple(dict.fromkeys(remarks))


def key_of(command: Sequence[object]) -> str:
    """The key that a command which writes names first."""
    key = command[1]
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _remarks(facts: Mapping[str, str]) -> list[str]:
    remarks = []
    policy = facts.get("maxmemory_policy", "noeviction")
    if facts.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
        remarks.append(f"maxmemory-policy {policy} may evict whole queues when memory runs out")
    if facts.get("role") == "slave":
        remarks.append("the server is a writable replica: its master may overwrite the queues")
    return remarks
