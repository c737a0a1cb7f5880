"""What an earlier command left in a folder of artifacts, where this one ended before it could write there itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plg.reports.shared_folder import SharedFolder

_COMMANDS = {"check": "plg-report", "merge": "plg-report", "judge": None, "report": None}
"""The commands that write JUnit documents, and the folder that they do so in unless they are told."""


def redden(arguments: Sequence[str], reason: str) -> None:
    """Put ``reason`` as an error in the place of the JUnit documents that lie where the command would have written.

    The ``arguments`` need not be such that they could be read as a whole.
    """
    arguments = _as_check(arguments)
    if not arguments or arguments[0] not in _COMMANDS:
        return
    from plg.reports.shared_folder import SharedFolder, junit_name

    given = _given(arguments)
    places = [SharedFolder(Path(given.out), junit_name(_shard(given.shard)))] if given.out else []
    if given.junit and given.junit != "-":
        places.append(SharedFolder(Path(given.junit).parent, Path(given.junit).name))
    for place in places:
        if place.document.exists():
            _write(place, arguments[0], reason)


def disown(arguments: Sequence[str]) -> None:
    """Set aside what earlier commands made of the files that a command names whose ``arguments`` cannot be read."""
    arguments = _as_check(arguments)
    if not arguments or arguments[0] not in ("check", "judge", "merge"):
        return
    from plg.reports.earlier import set_aside, set_aside_of_outcomes
    from plg.reports.shared_folder import SharedFolder, junit_name, shard_suffix

    given = _given(arguments)
    if not given.out:
        return
    shard, folder = _shard(given.shard), Path(given.out)
    words = [word for word in arguments[1:] if not word.startswith("-")]
    taken = SharedFolder(folder, junit_name(shard)).taken()
    if arguments[0] == "check":
        set_aside(folder, words, suffix=shard_suffix(shard), spared=taken)
    else:
        set_aside_of_outcomes(folder, words, spared=taken)


def _as_check(arguments: Sequence[str]) -> Sequence[str]:
    """A ``plg profile run`` writes what a check does."""
    return ["check", *arguments[2:]] if list(arguments[:2]) == ["profile", "run"] else arguments


def _given(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line says of where to write."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--out", default=_COMMANDS[arguments[0]])
    parser.add_argument("--shard", default="")
    parser.add_argument("--junit")
    try:
        return parser.parse_known_args(list(arguments[1:]))[0]
    except argparse.ArgumentError:  # an option without its value, at the end
        return parser.parse_known_args(list(arguments[1:-1]))[0]


def _shard(text: str) -> tuple[int, int] | None:
    number, _, of = text.partition("/")
    return (int(number) - 1, int(of)) if number.isdecimal() and of.isdecimal() else None


def _write(place: SharedFolder, command: str, reason: str) -> None:
    from plg.reports.suites import not_run

    with suppress(OSError):
        place.publish(not_run(f"plg {command}", reason))
    place.leave()
