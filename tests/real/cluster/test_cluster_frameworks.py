"""Frameworks in a cluster: what they cannot do there is refused in words, with the way out where there is one."""

from __future__ import annotations

import pytest

from plg.queues.base import Job, Queue
from plg.queues.registry import SHIPPED
from plg.targets.base import TargetError
from plg.targets.open import open_target

SPLIT = {
    "rq": "RQ gives its keys fixed names",
    "celery": 'with `prefix: "{NAME}:"`',
    "arq": "arq gives its jobs fixed names",
    "dramatiq": 'with `namespace: "{NAME}"`',
    "saq": "with a name in braces",
    "huey": "huey takes braces out of names",
    "bullmq": 'with `prefix: "{bull}"`',
    "sidekiq": "Sidekiq gives its keys fixed names",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_cannot_work_there_is_refused_before_anything_is_written(name: str, cluster) -> None:
    job = Job("a", Queue(name, "shop"), call="shop.work")
    url = cluster.nodes[0].url()
    if name not in SPLIT:
        with open_target(url, (job,)) as target:
            target.announce()
            assert target.probe().look().waiting == 0
        return
    with pytest.raises(TargetError) as caught:
        open_target(url, (job,))
    assert caught.value.kind == "refused"
    assert "lie in two slots of it" in str(caught.value)
    assert SPLIT[name] in str(caught.value)
    assert [node.number("DBSIZE") for node in cluster.nodes] == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "queue", "settings"),
    [
        ("celery", "shop", {"prefix": "{s}:"}), ("dramatiq", "shop", {"namespace": "{s}"}), ("saq", "{shop}", {}),
        ("bullmq", "shop", {"prefix": "{s}"}), ("bullmq", "{shop}", {}),
    ],
)  # fmt: skip
def test_the_ways_out_that_are_named_are_ways_out(name: str, queue: str, settings, cluster) -> None:
    job = Job("a", Queue(name, queue, settings), call="shop.work")
    with open_target(cluster.nodes[2].url(), (job,)) as target:
        target.announce()
        assert target.probe().look().waiting == 0
