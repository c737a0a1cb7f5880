"""The Sentinels of a master: whether they are there, agree, and could make another server the master."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.doctor.diagnosis import Remark
from plg.targets.faults import own_words
from plg.units import counted


def on_sentinels(address: Address, connect: Callable[[Address], Client]) -> Iterator[Remark]:
    """What of the Sentinels in the URL would surprise. Three questions to each."""
    masters: dict[str, str] = {}
    replicas = quorum = None
    for place in address.sentinels:
        client = connect(place)
        try:
            where, told, able = client.ask(
                [
                    ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master),
                    ("SENTINEL", "MASTER", address.master),
                    ("SENTINEL", "CKQUORUM", address.master),
                ]
            )
        except TargetError as error:
            yield Remark("sentinel-silent", f"a Sentinel of the URL does not answer: {error.message}")
            continue
        finally:
            client.close()
        if not isinstance(where, list):
            why = own_words(where) if isinstance(where, Exception) else f"it knows of no master {address.master!r}"
            yield Remark("sentinel-silent", f"a Sentinel of the URL does not tell of the master: {place.shown}: {why}")
            continue
        masters[place.shown] = b":".join(where).decode(errors="replace")
        facts = dict(zip(told[::2], told[1::2], strict=False)) if isinstance(told, list) else {}
        replicas = facts.get(b"num-slaves", replicas)
        quorum = own_words(able) if isinstance(able, Exception) else quorum
    if len(set(masters.values())) > 1:
        words = ", ".join(f"{place} says {master}" for place, master in masters.items())
        yield Remark("sentinels-disagree", f"the Sentinels name several masters: {words}")
    if quorum is not None:
        yield Remark("no-quorum", f"no other server would become the master if this one died: {quorum}")
    if replicas == b"0":
        yield Remark("no-replica", "the master has no replica: if it dies, nothing can take its place")
    if len(address.sentinels) == 1 and masters:
        words = f"the URL names {counted(1, 'Sentinel')}: where that one is down, nothing finds the master"
        yield Remark("one-sentinel", words)
