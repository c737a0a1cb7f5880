"""``plg new``: a scenario to start from, and a workflow that runs it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from plg import __version__
from plg.cli.console import Console
from plg.cli.files import usage_error
from plg.cli.vendoring import checkout, wheel_path, write_wheel
from plg.language.starters import starter, workflow
from plg.language.validate import check_document


def run(options: argparse.Namespace, console: Console) -> int:
    """Write NAME.plg, and with --github the workflow; nothing is overwritten unasked."""
    name = Path(options.name).name.removesuffix(".plg")
    if any(fault.path == ("name",) for fault in check_document({"name": name})):
        help = 'it names files too: none of / \\ : * ? " < > |, no control character, and no dot or blank in front'
        raise usage_error(f"{name!r} cannot be the name of a scenario", help)
    scenario = Path(options.name).with_name(f"{name}.plg")
    if not str(scenario).isprintable():
        raise usage_error(f"{str(scenario)!r} holds a character that cannot be shown", "give it another name")
    named = f"./{scenario.as_posix()}" if str(scenario).startswith("-") else scenario.as_posix()
    files = {scenario: starter(options.template, name)}
    wheel = wheel_path(__version__)
    if options.github:
        files[Path(".github/workflows/plg.yml")] = workflow(named, wheel.as_posix())
    there = [str(path) for path in files if path.exists()]
    if there and not options.force:
        raise usage_error(f"{', '.join(there)} is there already", "--force overwrites")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        console.print(f"wrote {path}")
    if options.github:
        _vendor(wheel, console)
    console.print(f"now run: plg check {shlex.quote(named)} --target embedded")
    console.print("to use your own Redis, set REDIS_URL and leave out --target")
    return 0


def _vendor(wheel: Path, console: Console) -> None:
    """Put the wheel that the workflow installs where it looks for it, or say how to."""
    if write_wheel(wheel):
        console.print(f"wrote {wheel}, which the workflow installs: commit it too")
        return
    source = checkout()
    named = shlex.quote(str(source)) if source is not None else "CHECKOUT"
    console.print(f"the workflow installs {wheel}; make it, and commit it too:")
    console.print(f"  python3 -m pip wheel --no-deps --wheel-dir {wheel.parent} {named}")
