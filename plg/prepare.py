"""From a scenario file and what was asked beside it to a run that can begin."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError
from plg.guardrails.dividing import divide, remarks
from plg.guardrails.policy import Policy, account_name, under_hard_ceilings
from plg.guardrails.terms import Asked, Webhook
from plg.judge.outcome import scenario_hash
from plg.language.load import Loaded, load_source, read_source
from plg.language.source import Source
from plg.language.validate import field_order
from plg.machine import too_few_files_for_a_run
from plg.outcome import ShardInfo
from plg.plan import Plan, make_plan
from plg.redaction import HIDDEN, hide_known, remember
from plg.runner.grid import Grid
from plg.runner.start import Start
from plg.scenario import Guardrails, Scenario
from plg.store.sealing import secret_texts, without_secrets
from plg.target_url import fallen_back
from plg.targets.gate import Gate
from plg.targets.interlock import NOTHING, Demand


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked beside the file: overrides of params, target, seed and connections, and the policy to apply.

    ``shard`` is (i, n) with i from 0: this generator makes the arrivals k with ``k mod n == i``. ``run_id`` names the
    run; the shards of one run share it. With ``share_limits`` they also share ``max_total_jobs``, by a counter in the
    target, instead of each having a part of it. ``start`` is when the schedule begins, where it does not begin at once.
    ``wait`` (s) is for a server that is not up yet. Who does not ``send`` needs no target.
    With ``force`` jobs go also to queues that belong to a framework. With ``clean`` the run removes what it left.
    With ``veil`` the scenario comes from a store that seals its payloads: nothing that is shown or kept has them.
    ``environ`` is where ``env`` looks (the process's own by default), ``account`` whose rules of the policy hold, and
    ``role`` the one that a server knows that account by.
    """

    overrides: Mapping[str, str]
    target: str | None = None
    seed: int | None = None
    policy: Policy | None = None
    environment: str | None = None
    shard: tuple[int, int] | None = None
    share_limits: bool = False
    run_id: str | None = None
    start: Start | None = None
    connections: int | None = None
    wait: float | None = None
    sends: bool = True
    force: bool = False
    clean: bool = False
    veil: bool = False
    environ: Mapping[str, str] | None = None
    account: str | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario that can be run: loaded, under policy, planned. ``notes`` are remarks the report repeats.

    ``limits`` are those of this generator: the scenario's own, or of a shard its part of them. ``demand`` is what the
    policy asks of the server itself, ``account`` whose run it is, ``webhooks`` are told of an emergency stop.
    """

    loaded: Loaded
    scenario: Scenario
    plan: Plan
    grid: Grid
    limits: Guardrails
    run_id: str
    notes: tuple[str, ...] = ()
    shard: ShardInfo | None = None
    start: Start | None = None
    share_limits: bool = False
    wait: float | None = None
    gate: Gate | None = None
    force: bool = False
    clean: bool = False
    demand: Demand = NOTHING
    account: str = ""
    webhooks: tuple[Webhook, ...] = ()


def prepare(file: Path, request: Request) -> Prepared:
    """Read, validate, put under policy and plan. Raises `ScenarioError` with every fault."""
    return prepare_source(read_source(file), request)


def prepare_source(source: Source, request: Request) -> Prepared:
    """As `prepare`, for a source that has been read."""
    loaded = _loaded(source, request)
    if request.sends and loaded.withheld:
        raise ScenarioError([_withheld(source.file, loaded)])
    scenario = loaded.scenario if not request.veil else veiled(loaded.scenario)
    notes = tuple(map(_remark, loaded.warnings))
    if request.sends and request.target is None:
        environ = os.environ if request.environ is None else request.environ
        notes += fallen_back(scenario.document.get("target"), environ)
    scenario = _asked_otherwise(scenario, request)
    if request.sends and (words := too_few_files_for_a_run(scenario.connections - 1)):
        raise ScenarioError([Diagnostic("machine", words, source.file)])
    scenario, capped = under_hard_ceilings(scenario)
    notes += capped
    if request.policy is not None:
        scenario, lowered = request.policy.apply(
            scenario, request.environment, account=request.account, role=request.role
        )
        notes += lowered
    plan = make_plan(scenario, seed=request.seed, shard=request.shard or (0, 1))
    grid = Grid.of(plan, scenario.expect)
    limits = divide(scenario.guardrails, plan)
    if request.share_limits:
        limits = replace(limits, max_total_jobs=scenario.guardrails.max_total_jobs)
    run_id = _run_id(request, scenario)
    shard = _shard_info(request, scenario, run_id)
    if shard is not None:
        notes += (*remarks(scenario.guardrails, plan), *_lonely(scenario))
    asked = _asked(request, scenario, plan)
    gate = request.policy.gate(scenario.guardrails, asked) if request.policy is not None else None
    demand = request.policy.admit(asked) if request.policy is not None else NOTHING
    return Prepared(
        loaded, scenario, plan, grid, limits, run_id, notes, shard, request.start, request.share_limits,
        request.wait, gate, request.force, request.clean, demand, request.account or account_name(),
        request.policy.webhooks if request.policy is not None else (),
    )  # fmt: skip


def _loaded(source: Source, request: Request) -> Loaded:
    if request.veil:
        remember(secret_texts(source.document))
    try:
        return load_source(
            source, overrides=request.overrides, target=request.target, sends=request.sends, environ=request.environ
        )
    except ScenarioError as error:
        if not request.veil:
            raise
        # The source would be quoted, and it holds what was sealed.
        faults = [
            replace(fault, message=hide_known(fault.message), help=hide_known(fault.help), span=None)
            for fault in error.diagnostics
        ]
        raise ScenarioError(faults) from None


def veiled(scenario: Scenario) -> Scenario:
    """The scenario, which sends what it did, with a document that shows no payload and cannot be run for want of it."""
    document = without_secrets(dict(scenario.document))
    if document != scenario.document:
        withheld = {"secrets": {"env": "PLG_KEYS", "value": HIDDEN}}
        document = field_order({**document, "params": {**document.get("params", {}), **withheld}})
    return replace(scenario, document=document)


def _asked(request: Request, scenario: Scenario, plan: Plan) -> Asked:
    """The run as the rules of a policy see it once it is planned."""
    limits = scenario.guardrails
    start = time.time() if request.start is None else request.start.wall
    return Asked(
        scenario.target, request.account or account_name(), request.role, request.environment,
        rate=min(plan.peak_rate, limits.max_rate), start=start if request.sends else None,
        lasting=min(plan.duration, limits.max_duration),
    )  # fmt: skip


def _remark(warning: Diagnostic) -> str:
    where = f" ({warning.file}:{warning.span.line})" if warning.span is not None else ""
    return warning.message + where


def _asked_otherwise(scenario: Scenario, request: Request) -> Scenario:
    """The scenario as the request changes it; its document says so too, for that is what is saved and shown."""
    if request.connections is not None:
        document = {**scenario.document, "connections": request.connections}
        scenario = replace(scenario, connections=request.connections, document=document)
    if request.seed is not None:
        arrivals = {**scenario.document.get("arrivals", {}), "seed": request.seed}
        document = field_order({**scenario.document, "arrivals": arrivals})
        scenario = replace(scenario, arrivals=replace(scenario.arrivals, seed=request.seed), document=document)
    return scenario


def _withheld(file: str, loaded: Loaded) -> Diagnostic:
    """Why a scenario that was saved without its secrets cannot be run."""
    names = ", ".join(loaded.withheld)
    message = f"this scenario was saved without the value of {names}"
    help = f"set {names} and run the file that it was made from; `param NAME = env VARIABLE keep` keeps a value"
    return Diagnostic("withheld-value", message, file, loaded.spans.nearest(("params",)), help)


def _run_id(request: Request, scenario: Scenario) -> str:
    """The name of the run: as given, or one that all shards with the same scenario and start find by themselves."""
    if request.run_id is not None:
        return request.run_id
    if request.shard is not None and request.start is not None:
        return f"{scenario_hash(scenario.document)[:8]}-{round(request.start.wall * 1000):x}"
    return uuid.uuid4().hex[:12]


def _shard_info(request: Request, scenario: Scenario, run_id: str) -> ShardInfo | None:
    if request.shard is None:
        return None
    index, of = request.shard
    limits = {
        "max_rate": scenario.guardrails.max_rate,
        "max_total_jobs": float(scenario.guardrails.max_total_jobs),
        "max_duration": scenario.guardrails.max_duration,
    }
    return ShardInfo(run_id, of, (index + 1,), limits, tuple(e.line for e in scenario.expect))


def _lonely(scenario: Scenario) -> tuple[str, ...]:
    if "://" in scenario.target:
        return ()
    return (f"the target is {scenario.target}: this shard loads a queue of its own; give all shards one URL",)
