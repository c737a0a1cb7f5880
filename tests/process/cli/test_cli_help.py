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
    ("arguments", "said", "help"),
    [
        (["chek", "x.plg"], "there is no command 'chek'", "did you mean plg check?"),
        (["run", "x.plg"], "there is no command 'run'", "did you mean plg check?"),
        (["frobnicate"], "there is no command 'frobnicate'", "the commands are check, lint, plan"),
        (["check"], "plg check needs FILE", "for example: plg check "),
        (["plan"], "plg plan needs FILE", "for example: plg plan "),
        (["convert", "x", "y.yaml"], "plg convert needs --to", "for example: plg convert "),
        (["check", "x.plg", "--sed", "x"], "plg check has no option --sed", "did you mean --seed?"),
        (["check", "x.plg", "--sed=x"], "plg check has no option --sed", "did you mean --seed?"),
        (["check", "x.plg", "--seed", "x"], "--seed must be a whole number, not 'x'", "for example: plg check "),
        (["check", "x.plg", "--s", "x"], "--s is the beginning of more than one option", "write one of --st"),
        (["check", "x.plg", "--target"], "--target needs a value", "a value that begins with - is written --target="),
        (["check", "x.plg", "--wait", "-1s"], "--wait needs a value", "a value that begins with - is written --wait="),
        (["check", "x.plg", "--quiet=1"], "--quiet takes no value, but '1' is given", "for example: plg check "),
        (["check", "x.plg", "--reports", "y"], "--reports: there is no report 'y'", "for example: plg check "),
        (["lint", "--format", "xml", "x"], "--format cannot be 'xml'", "known: text, "),
        (["new", "x", "--template", "y"], "--template cannot be 'y'", "known: flash-sale, "),
        (["new", "x", "--template", "flash-sail"], "--template cannot be 'flash-sail'", "did you mean flash-sale?"),
        (["convert", "x", "--to", "toml"], "--to cannot be 'toml'", "known: plg, yaml, json"),
        (["schema", "foo"], "'foo' cannot be taken", "known: scenario, outcome, policy"),
        (["judge", "a", "b", "c\x1b[2J"], "plg judge does not take 'c\\x1b[2J' as well", "it takes OUTCOME.json"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2_and_two_lines(run, arguments, said, help):
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith(f"error[usage]: {said}")
    assert second.startswith(f"  = help: {help}")
