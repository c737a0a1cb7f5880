"""Arguments that name files, and how a request is put together from options."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plg.diagnostics import Diagnostic, ScenarioError

if TYPE_CHECKING:
    from plg.session import Request


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
            raise usage_error(f"--set takes NAME=VALUE, not {setting!r}", "for example --set peak=900/s")
        pairs[name.strip()] = value.strip()
    return pairs


def request(options: argparse.Namespace) -> Request:
    """The request that the scenario options of a command stand for."""
    from plg.guardrails.policy_file import find_policy
    from plg.session import Request

    policy = find_policy(options.policy, os.environ, Path.cwd())
    if options.env is not None and policy is None:
        help = "write plg-policy.yaml, or name one with --policy"
        raise usage_error(f"--env {options.env} needs a policy file", help)
    connections = getattr(options, "connections", None)  # plg plan opens none
    return Request(overrides(options.set), options.target, options.seed, policy, options.env, connections=connections)
