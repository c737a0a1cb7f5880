"""A real server for runs, and orders for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from redis import Redis

from plg.prepare import Request
from plg.runs.order import Order

SCENARIO = """
scenario "{name}" {{
  job job {{ queue "{queue}" payload {{ n: "${{seq}}" }} }}
  traffic {{ {traffic} }}
  guardrails {{ max_rate 50_000/s  max_total_jobs 1_000_000  max_duration 1m {limits} }}
  watch 0s
  expect {{ {expect} }}
}}
"""


@pytest.fixture
def seqs(server):
    """The numbers of the jobs that a queue holds, in order: ``seqs()``."""
    client = Redis(unix_socket_path=str(server.path))
    yield lambda key="q": sorted(json.loads(job)["seq"] for job in client.lrange(key, 0, -1))
    client.close()


@pytest.fixture
def order_for(server, tmp_path: Path):
    """Orders a scenario of this traffic from the server: ``order_for("steady 100/s over 1s")``."""

    def make(
        traffic: str, expect: str = "errors == 0", *, name: str = "s", queue: str = "q", limits: str = "", **asked
    ) -> Order:
        file = tmp_path / f"{name}.plg"
        text = SCENARIO.format(name=name, queue=queue, traffic=traffic, expect=expect, limits=limits)
        file.write_text(text, encoding="utf-8")
        return Order.of(file, Request({}, **{"target": server.url(), **asked}), {})

    return make
