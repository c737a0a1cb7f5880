"""The page on autoscaling tells the truth: its autoscaler starts RQ's workers late, and the report names that link."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.processes import started

from plg import session
from plg.prepare import Request, prepare
from plg.reports.terminal import summary

PAGE = (Path(__file__).parents[3] / "docs" / "autoscaling.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```\w+ title="([\w.-]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
EVERY = 6.0
"""Seconds between two looks of the autoscaler: the stampede begins three seconds after a first one, at the earliest."""


@pytest.mark.slow
@pytest.mark.framework
@pytest.mark.install
@pytest.mark.timeout(300)
def test_an_autoscaler_that_looks_seldom_is_named_as_the_slow_link(environment, server, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    python = environment("rq", "rq") / "python"
    words = [str(python), "autoscale.py", server.url(), "mail", str(EVERY)]
    with started(words, tmp_path, os.environ, tmp_path / "log") as scaler:
        _await_worker(server, scaler)
        prepared = prepare(tmp_path / "scale-up.plg", Request({}, target=server.url()))
        outcome = session.run(prepared, session.Observer())
    results = {result.text: result for result in outcome.expectations}
    assert {text: result.verdict for text, result in results.items()} == dict.fromkeys(results, "pass"), outcome.reason
    assert outcome.exit_code == 0
    rise = outcome.scale_up
    assert rise is not None
    assert (rise.before, rise.most, rise.slowest) == (1, 3, "decision")
    # By the autoscaler's own clockwork: it looks every six seconds, and a worker takes a moment to come up.
    assert 0.5 < rise.registered_s - rise.backlog_s < EVERY + 4
    assert "the slowest link was the decision" in summary(outcome)
    back = results["workers returns to 1 within 45s after stampede"]
    assert back.observed is not None
    assert 0 <= back.observed < 45
    # The other side: what RQ itself has left of the jobs and the workers.
    done = server.ask("ZCARD", "rq:finished:mail")
    assert done == b":%d\r\n" % outcome.ledger.acked
    assert outcome.queue.end == 0


def _await_worker(server, scaler: subprocess.Popen[bytes]) -> None:
    while server.ask("SCARD", "rq:workers:mail") != b":1\r\n":
        assert scaler.poll() is None, "the autoscaler has ended"
