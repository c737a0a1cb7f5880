"""The parser of arguments, whose faults are told as all others are: one sentence, and what to write instead."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from plg.diagnostics import nearest

_COMMANDS = {
    "run": "plg check", "test": "plg check", "validate": "plg lint", "format": "plg fmt",
    "init": "plg new", "create": "plg new", "show": "plg report", "compare": "plg report", "version": "plg --version",
    "help": "plg --help",
}  # fmt: skip
"""What others call a command, and what it is called here."""


class UsageExit(SystemExit):
    """The command line could not be read; why has been said."""

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` without its wording of faults."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._flags: list[str] = []
        self._takes: list[str] = []
        self.commands: dict[str, Parser] = {}
        super().__init__(*args, **kwargs)

    def add_argument(self, *names: str, **kwargs: Any) -> argparse.Action:
        """See `argparse.ArgumentParser.add_argument`."""
        action = super().add_argument(*names, **kwargs)
        if action.option_strings:
            self._flags += action.option_strings
        else:
            self._takes.append(str(action.metavar or action.dest))
        return action

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]  # never the process's own
        """Raises `UsageExit` where ``args`` cannot be read."""
        options: argparse.Namespace
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            command = self.commands.get(getattr(options, "command", None) or "", self)
            command = command.commands.get(getattr(options, "action", None) or "", command)
            command.tell(*command.surplus(rest[0]))
        return options

    def surplus(self, word: str) -> tuple[str, str]:
        """What is wrong with a word that is one too many, and what to do."""
        if word.startswith("-"):
            near = nearest(word.partition("=")[0], self._flags)
            return f"{self.prog} has no option {word.partition('=')[0]}", f"did you mean {near}?" if near else ""
        takes = f"it takes {' '.join(self._takes)}" if self._takes else "it takes options alone"
        return f"{self.prog} does not take {word!r} as well", takes

    def error(self, message: str) -> NoReturn:
        """Tell a fault that argparse found."""
        for pattern, words in _WORDS:
            found = re.fullmatch(pattern, message, re.DOTALL)
            if found is not None:
                self.tell(*words(self.prog, *found.groups()))
        self.tell(message)

    def tell(self, message: str, help: str = "") -> NoReturn:
        """Say why the command line cannot be read, and end."""
        text = f"error[usage]: {message}\n  = help: {help or self._example()}\n"
        self._print_message("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text), sys.stderr)
        raise UsageExit(message)

    def _example(self) -> str:
        """What to write, from the end of the help."""
        _, found, examples = (self.epilog or "").partition("example:\n")
        return f"for example: {examples.split(chr(10))[0].strip()}" if found else f"{self.prog} --help tells more"


def _value_is_missing(prog: str, name: str) -> tuple[str, str]:
    return f"{name} needs a value", f"a value that begins with - is written {name.partition('/')[0]}=VALUE"


def _no_such_command(prog: str, word: str, known: str) -> tuple[str, str]:
    names = re.findall(r"[\w-]+", known)
    near = nearest(word, names)
    meant = _COMMANDS.get(word, f"plg {near}" if near else "")
    return (
        f"there is no command {word!r}",
        f"did you mean {meant}?" if meant else f"the commands are {', '.join(names)}",
    )


def _no_such_choice(prog: str, name: str, word: str, known: str) -> tuple[str, str]:
    choices = re.findall(r"[\w-]+", known)
    near = nearest(word, choices)
    help = f"did you mean {near}? " * (near is not None) + f"known: {', '.join(choices)}"
    return f"{name} cannot be {word!r}" if name.startswith("-") else f"{word!r} cannot be taken", help


_WORDS: tuple[tuple[str, Callable[..., tuple[str, str]]], ...] = (
    (r"argument (\S+): expected (?:one|at least one|\d+) arguments?", _value_is_missing),
    (r"argument (?:COMMAND|ACTION): invalid choice: '(.*)' \(choose from (.*)\)", _no_such_command),
    (r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", _no_such_choice),
    (r"the following arguments are required: (.*)", lambda prog, names: (f"{prog} needs {names}", "")),
    (
        r"ambiguous option: (\S+) could match (.*)",
        lambda prog, name, known: (f"{name} is the beginning of more than one option", f"write one of {known}"),
    ),
    (
        r"argument (\S+): ignored explicit argument (.*)",
        lambda prog, name, word: (f"{name} takes no value, but {word} is given", ""),
    ),
    (r"argument (\S+): (must .*)", lambda prog, name, words: (f"{name} {words}", "")),
    (r"argument (\S+): (.*)", lambda prog, name, words: (f"{name}: {words}", "")),
)
"""What argparse says, and what is said of it."""
