"""What Python programs call: orders, runs in this process or elsewhere, plans, saved outcomes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plg.guardrails.policy_file import find_policy, with_neighbours
from plg.outcome import Outcome
from plg.prepare import Request
from plg.runs.events import Event
from plg.runs.inline import Inline
from plg.runs.launcher import Handle, launcher_for
from plg.runs.order import Order
from plg.runs.relay import Listen


def order(
    file: Path | str,
    *,
    target: str | None = None,
    params: Mapping[str, str] | None = None,
    seed: int | None = None,
    policy: Path | str | None = None,
    environment: str | None = None,
    connections: int | None = None,
    wait: float | None = None,
    force: bool = False,
    clean: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Order:
    """The order for a scenario file, as ``plg check`` would make it.

    Parameters
    ----------
    file: a ``.plg``, ``.yaml`` or ``.json`` scenario.
    target: a URL, ``embedded`` or ``fake``, in place of the scenario's own.
    params: other values of its params, spelled as ``--set`` takes them: ``{"peak": "900/s"}``.
    seed: of random arrivals and payloads.
    policy: a policy file beside ``PLG_POLICY`` and the ``plg-policy.yaml`` that lie in the working folder, beside the
        scenario, or above them; what they allow holds for Python as it does for the command.
    environment: whose ceilings of the policy hold as well.
    connections: to send over, 1 to 64.
    wait: seconds to wait for a server that is not up yet.
    force: send also to queues that belong to a framework.
    clean: remove what the run left in the target, once it is over.
    environ: the variables that the scenario may read (default: those of this process).

    Raises
    ------
    ScenarioError: where the file or a policy cannot be read. Faults of the scenario are found when it is run.
    """
    path, variables = Path(file), os.environ if environ is None else environ
    rules = with_neighbours(
        find_policy(None if policy is None else str(policy), variables, Path.cwd()), path.absolute().parent
    )
    asked = Request(
        dict(params or {}), target, seed, rules, environment, connections=connections, wait=wait, force=force,
        clean=clean,
    )  # fmt: skip
    return Order.of(path, asked, variables)


def run(what: Order | Path | str, *, listen: Listen | None = None, every: float = 1.0, **asked: Any) -> Outcome:
    """Run a scenario in this process and return its judged outcome, whatever the verdict.

    ``what`` is a file, for which ``asked`` are the arguments of `order`, or an order. ``listen`` hears the events of
    the run, from a thread that sends no jobs; ``every`` is the least number of seconds between two of its rows.

    Raises
    ------
    ScenarioError: where the run comes to no outcome, with every fault.
    """
    handle = Inline(every).launch(_ordered(what, asked), listen or _nobody)
    return _await(handle)


def launch(what: Order | Path | str, where: str, *, listen: Listen | None = None, **asked: Any) -> Handle:
    """Have a scenario prepared elsewhere: ``local:4``, ``dask:ADDRESS:N``, or any other launcher that is installed.

    The run begins with ``begin()`` of the handle, after the event ``ready``; ``outcome()`` waits for its end, and
    ``stop()`` ends it before. Raises ``ScenarioError`` where there is no such launcher.
    """
    return launcher_for(where).launch(_ordered(what, asked), listen or _nobody)


def plan_document(what: Order | Path | str, **asked: Any) -> Mapping[str, Any]:
    """What the scenario would send, as ``plg plan --json`` prints it; sends nothing. Raises ``ScenarioError``."""
    with _ordered(what, asked).prepared() as prepared:
        return prepared.plan.to_document()


def _ordered(what: Order | Path | str, asked: Mapping[str, Any]) -> Order:
    if not isinstance(what, Order):
        return order(what, **asked)
    if asked:
        raise TypeError(f"an order says all itself: {', '.join(asked)} cannot be given beside it")
    return what


def _nobody(event: Event) -> None:
    """Nobody listens."""


def _await(handle: Handle) -> Outcome:
    handle.begin()
    try:
        return handle.outcome()
    except KeyboardInterrupt:
        handle.abandon(5.0)
        raise
