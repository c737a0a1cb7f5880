"""Whether the keys of a queue can live in a cluster, as its framework's own client and workers use them.

Scripts, transactions and clients that know no cluster reach the keys of one slot alone. What a framework's client
writes by a command of its own, wherever its key lies, is named by the format (`plg.queues.base.Usual.apart`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plg.queues.use import QueueInUse
from plg.targets.base import TargetError
from plg.targets.slots import slot_of


def refuse_split(queues: Sequence[QueueInUse], shown: str) -> None:
    """Raises `TargetError` for a queue whose framework could not work in the cluster ``shown``."""
    for queue in queues:
        places: dict[int, str] = {}
        for key in _keys(queue):
            places.setdefault(slot_of(key), key)
        if len(places) > 1:
            one, other = list(places.values())[:2]
            form = queue.format
            words = (
                f"{queue.key!r} cannot be written to the cluster at {shown}: {one!r} and {other!r} lie in two slots of "
                f"it, and the workers of {form.name} reach only one"
            )
            raise TargetError("refused", words, getattr(form, "in_cluster", "") or _TAG)


_TAG = "a name with a part in { } keeps them together"


def _keys(queue: QueueInUse) -> Iterator[str]:
    """Those of one job, those that all jobs share, and those between which workers move them."""
    apart: frozenset[str] = getattr(queue.format, "apart", frozenset())
    traces = queue.traces("")
    for key in (
        *queue.keys, *(command[1] for command in queue.rehearsal()),
        *(() if traces is None else (place.key for place in traces.places)),
    ):  # fmt: skip
        text = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        if text not in apart:
            yield text
