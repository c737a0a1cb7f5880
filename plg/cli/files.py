"""Arguments that name files, and how a request is put together from options."""

from __future__ import annotations

import argparse
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from plg.diagnostics import Diagnostic, ScenarioError
from plg.redaction import conceal

if TYPE_CHECKING:
    from plg.prepare import Request
    from plg.runner.start import Start


def usage_error(message: str, help: str = "") -> ScenarioError:
    """A fault of the command line itself, in the form of all faults."""
    return ScenarioError([Diagnostic("usage", message, file="<command line>", help=help)])


def expand(patterns: Sequence[str]) -> list[Path]:
    """Files named or matched by globs, in order, each once. Raises `ScenarioError` where a pattern matches nothing."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        is_glob = any(mark in pattern for mark in "*?[") and not Path(pattern).exists()
        names = sorted(glob.glob(pattern, recursive=True)) if is_glob else [pattern]  # noqa: PTH207  # absolute patterns too
        if not names:
            raise usage_error(f"no file matches {pattern!r}")
        found.update(dict.fromkeys(map(Path, names)))
    return list(found)


def overrides(settings: Sequence[str]) -> dict[str, str]:
    """``--set NAME=VALUE`` pairs as a mapping."""
    pairs: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise usage_error(f"--set takes NAME=VALUE, not {conceal(setting)!r}", "for example --set peak=900/s")
        pairs[name.strip()] = value.strip()
    return pairs


def start(options: argparse.Namespace) -> Start | None:
    """The moment of ``--start-at`` on both clocks."""
    text = getattr(options, "start_at", None)
    if text is None:
        return None
    from plg.clock import MonotonicClock
    from plg.runner.start import read_start

    try:
        return read_start(text, MonotonicClock())
    except ValueError as fault:
        raise usage_error(
            f"--start-at: {fault}", "for example --start-at 2040-01-31T18:30:05Z, or --start-at +5s"
        ) from None


def request(options: argparse.Namespace) -> Request:
    """The request that the scenario options of a command stand for."""
    from plg.guardrails.policy_file import find_policy, with_neighbours
    from plg.prepare import Request

    policy = find_policy(options.policy, os.environ, Path.cwd())
    folders = {Path(file).absolute().parent for file in getattr(options, "files", None) or [options.file]}
    if options.env is not None and policy is None and not any(with_neighbours(None, folder) for folder in folders):
        help = "write plg-policy.yaml, or name one with --policy"
        raise usage_error(f"--env {options.env} needs a policy file", help)
    return Request(
        overrides(options.set), target(options.target), options.seed, policy, options.env,
        # plg plan opens no connection and has no run to name or start.
        connections=getattr(options, "connections", None), run_id=getattr(options, "run_id", None),
        shard=options.shard, share_limits=getattr(options, "share_limits", False), start=start(options),
        wait=getattr(options, "wait", None), sends=options.command == "check",
        force=options.command == "check" and options.force, clean=getattr(options, "clean", False),
    )  # fmt: skip


def target(given: str | None) -> str | None:
    """The target named on the command line; `env NAME`, as a scenario writes it, keeps a URL out of the process list.

    A variable that is not set is an empty target, which is refused where it is used.
    """
    found = re.fullmatch(r"\s*env\s+([A-Za-z_][A-Za-z0-9_]*)\s*", given or "")
    return os.environ.get(found[1], "") if found else given


def target_named(given: str | None) -> str:
    """The target of a command that needs one. Raises `ScenarioError` where there is none."""
    if given is None:
        raise usage_error("no target is given", "--target URL, or --target 'env NAME' for the URL in a variable")
    found = target(given)
    if not found:
        raise usage_error(f"--target {given}: the variable is not set")
    return found


def for_file(asked: Request, file: Path) -> Request:
    """The request as it is for one scenario: under the policies that lie beside it, or above it, as well."""
    from plg.guardrails.policy_file import with_neighbours

    return replace(asked, policy=with_neighbours(asked.policy, file.absolute().parent))


def refuse_lonely_shards(options: argparse.Namespace, files: int) -> None:
    """Raise `ScenarioError` where shards could not find one another, or a start would be missed."""
    if options.shard is not None and options.run_id is None and not (options.start_at or "+").partition("+")[0]:
        help = "give all shards the same --run-id, or the same --start-at as a date and time"
        raise usage_error("the shards of one run need a name in common", help)
    if options.launch is not None and options.shard is not None:
        raise usage_error("--launch divides the run itself: leave out --shard", "or start each shard by hand")
    if options.clean and options.shard is not None:
        help = "plg clean RUN --target URL removes what is left of all of them, once they are over"
        raise usage_error("--clean is for a run of one generator: what one shard left, others still add to", help)
    if options.share_limits and options.shard is None:
        raise usage_error("--share-limits is for shards: give --shard I/N as well")
    if files == 1:
        return
    if options.run_id is not None:
        raise usage_error("--run-id names one run: name one scenario with it")
    for option, given in (("--shard", options.shard), ("--start-at", options.start_at)):
        if given is not None and options.parallel < files:
            help = f"name one scenario, or run all of them at once with --parallel {files}"
            raise usage_error(f"{option} is for scenarios that start together", help)
