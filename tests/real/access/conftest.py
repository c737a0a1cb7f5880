"""Scenarios run in this process under the policy that lies beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.machine import late_runs

from plg import session
from plg.guardrails.policy_file import with_neighbours
from plg.outcome import Outcome
from plg.prepare import Request, prepare


@pytest.fixture
def play() -> Callable[..., Outcome]:
    """``play(file, url)``: the outcome of a run."""

    def run(file: Path, url: str, observer: session.Observer | None = None, **asked) -> Outcome:
        policy = with_neighbours(None, file.parent)
        prepared = prepare(file, Request({}, url, policy=policy, **asked))
        outcome = session.run(prepared, observer or session.Observer())
        if outcome.exit_code == 5:
            late_runs.append(outcome.reason)
        return outcome

    return run
