"""Every command explains itself, with an example that is one."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from plg import __version__
from plg.cli.program import build_parser

ACTION = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
COMMANDS = sorted(ACTION.choices)
PROMISED = {"check", "lint", "plan", "fmt", "convert", "judge", "report", "new", "schema"}


def test_the_promised_commands_are_there():
    assert set(COMMANDS) >= PROMISED


@pytest.mark.parametrize("command", COMMANDS)
def test_help_holds_examples_that_parse(run, command):
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: plg {command} ")
    examples = [line.strip() for line in done.out.partition("example:\n")[2].splitlines() if line.strip()]
    assert examples
    for example in examples:
        assert example.startswith(f"plg {command} ")
        build_parser().parse_args(shlex.split(example.partition(" > ")[0])[1:])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_long_and_explained(command):
    for action in ACTION.choices[command]._actions:
        assert action.help, action
        assert all(re.fullmatch(r"--[a-z][a-z-]+|-h", option) for option in action.option_strings)


@pytest.mark.parametrize("columns", ["40", "200"])
def test_help_fits_narrow_and_wide_terminals(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    for command in ("", *COMMANDS):
        assert run(*([command] if command else []), "--help").code == 0


def test_all_commands_and_exit_codes_are_on_the_first_page(run):
    said = run("--help").out
    assert all(re.search(rf"^    {command} ", said, re.MULTILINE) for command in COMMANDS)
    assert all(re.search(rf"\b{code}\b", said) for code in (0, 1, 2, 3, 4, 5, 6, 130, 143))
    assert run().code == 2
    assert run("--version").out == f"plg {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["chek", "x.plg"],
        ["check"],
        ["plan"],
        ["check", "x.plg", "--sed", "x"],
        ["lint", "--format", "xml", "x"],
        ["new", "x", "--template", "y"],
        ["convert", "x", "--to", "toml"],
    ],
)
def test_wrong_usage_is_exit_code_2(run, arguments):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: plg")
