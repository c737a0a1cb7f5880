"""Arguments of the commands that say who may do what, and where."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, cast

from plg.cli.options import _command, _duration, _not

if TYPE_CHECKING:
    from plg.cli.options import Commands


def add_target(commands: Commands) -> None:
    """``plg target``."""
    parser = _command(
        commands, "target", "allow load on a server, stop all runs there, let them begin again, or look",
        "  plg target allow redis://staging:6379/0 --max-rate 500/s --for 2h\n"
        "  plg target stop redis://staging:6379/0 --reason 'the pager went'\n"
        "  plg target resume redis://staging:6379/0\n"
        "  plg target show 'env REDIS_URL' --json",
    )  # fmt: skip
    parser.add_argument(
        "action", choices=("allow", "stop", "resume", "show"),
        help="allow: runs may begin; stop: all runs end within a second, and none begins; resume: they may again; "
        "show: what is allowed, and who sends how much",
    )  # fmt: skip
    parser.add_argument(
        "target", metavar="URL", help="redis://, rediss:// or unix:// URL, or 'env NAME' for the URL in a variable"
    )
    parser.add_argument(
        "--max-rate", type=_rate, metavar="RATE", help="allow: what all runs may send together (default: 100/s)"
    )
    parser.add_argument("--max-jobs", type=_count, metavar="N", help="allow: the most jobs that one run may send")
    parser.add_argument("--max-duration", type=_duration, metavar="TIME", help="allow: the longest that a run may last")
    parser.add_argument(
        "--for", dest="lasting", type=_duration, metavar="TIME",
        help="allow: when it ends (default: 1h); stop: let runs begin again after this, without plg target resume",
    )  # fmt: skip
    parser.add_argument("--revoke", action="store_true", help="allow: take the allowance away")
    parser.add_argument("--reason", metavar="TEXT", default="", help="stop: why, for those whose runs end")
    parser.add_argument("--json", action="store_true", help="show: as JSON")
    parser.add_argument("--wait", type=_duration, metavar="TIME", help="how long to wait for a server that is not up")


def _rate(text: str) -> float:
    from plg.units import parse_rate

    try:
        rate = parse_rate(text)
    except ValueError:
        raise _not("a rate such as 100/s", text) from None
    if not rate > 0:
        raise _not("a rate above 0, such as 100/s", text)
    return rate


def _count(text: str) -> int:
    plain = text.replace("_", "")
    if not plain.isascii() or not plain.isdigit() or int(plain) < 1:
        raise _not("a whole number from 1", text)
    return int(plain)


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", help="the server's data folder (default: $PLG_DATA, or the platform's own)"
    )


def _actions(parser: argparse.ArgumentParser) -> Commands:
    return cast("Commands", parser.add_subparsers(dest="action", metavar="ACTION", required=True, help="what to do"))


def add_token(commands: Commands) -> None:
    """``plg token``."""
    parser = _command(
        commands, "token", "make, list and revoke the tokens that a server lets in",
        "  plg token create ci --role operator --expires 30d --data /var/lib/plg\n"
        "  plg token list --data /var/lib/plg\n"
        "  plg token revoke ci --data /var/lib/plg",
    )  # fmt: skip
    actions = _actions(parser)
    create = _command(
        actions, "create", "make a token and print it: once, since only a hash of it is kept",
        "  TOKEN=$(plg token create ci --role operator)",
    )  # fmt: skip
    create.add_argument("name", metavar="NAME", help="whose it is: a person or a program, as the audit log names it")
    create.add_argument(
        "--role", choices=("viewer", "operator", "author", "admin"), required=True,
        help="viewer: look; operator: also start and stop; author: also write profiles; admin: all",
    )  # fmt: skip
    create.add_argument(
        "--expires", type=_lasting, default=90 * 86_400.0, metavar="TIME",
        help="how long it is good for, for example 12h or 30d, or never (default: 90d)",
    )  # fmt: skip
    create.add_argument("--json", action="store_true", help="as JSON")
    shown = _command(actions, "list", "list the tokens, never their secrets", "  plg token list --json")
    shown.add_argument("--json", action="store_true", help="as JSON")
    revoke = _command(actions, "revoke", "let a token in no longer, from now on", "  plg token revoke ci")
    revoke.add_argument("name", metavar="NAME", help="the name of the token, or its id")
    for each in (create, shown, revoke):
        _data(each)


def _lasting(text: str) -> float | None:
    """A duration; None for ``never``."""
    if text == "never":
        return None
    try:
        found = _duration(text)
    except argparse.ArgumentTypeError:
        raise _not("a time such as 12h or 30d, or never", text) from None
    if not 0 < found <= 3650 * 86_400:
        raise _not("a time above 0 and up to 3650d", text)
    return found


def add_audit(commands: Commands) -> None:
    """``plg audit``."""
    parser = _command(
        commands, "audit", "look at a server's audit log, hand it on, and see whether it is what was written",
        "  plg audit verify --data /var/lib/plg\n"
        "  plg audit tail -n 50\n"
        "  plg audit export --format csv > audit.csv",
    )  # fmt: skip
    actions = _actions(parser)
    check = _command(
        actions, "verify", "find records that were changed, removed, moved, cut off or torn",
        "  plg audit verify --head 42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )  # fmt: skip
    check.add_argument("--head", metavar="N:HASH", help="the head that was noted elsewhere, in place of the anchor")
    tail = _command(actions, "tail", "show the last records", "  plg audit tail -n 50 --json")
    tail.add_argument("-n", "--count", type=_count, default=20, metavar="N", help="how many (default: 20)")
    export = _command(actions, "export", "print the records, all or the later ones", "  plg audit export --since 100")
    export.add_argument("--since", type=_number, default=0, metavar="N", help="only those after the record N")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="JSON lines (default) or CSV")
    for each in (check, tail, export):
        _data(each)
        each.set_defaults(**{"format": "jsonl"} if each is not export else {})
    for each in (check, tail):
        each.add_argument("--json", action="store_true", help="as JSON")
    export.set_defaults(json=True)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _not("a whole number", text)
    return int(text)


def add_policy(commands: Commands) -> None:
    """``plg policy``."""
    parser = _command(
        commands, "policy", "see whether policy files can be read, and which rule decides about a run, and why",
        "  plg policy check plg-policy.yaml\n"
        "  plg policy explain sale.plg --target redis://db.prod.example.com:6379/0\n"
        "  plg policy explain --target redis://staging:6379/0 --account ci --role operator --rate 800/s "
        "--at 2040-01-31T18:30:00Z",
    )  # fmt: skip
    actions = _actions(parser)
    check = _command(actions, "check", "read policy files, and tell every fault", "  plg policy check plg-policy.yaml")
    check.add_argument("files", nargs="*", metavar="FILE", help="policy files (default: those that hold here)")
    why = _command(
        actions, "explain", "tell of each rule whether it applies to a run, and what it means for it",
        "  plg policy explain sale.plg --account ci",
    )  # fmt: skip
    why.add_argument("file", nargs="?", metavar="SCENARIO", help="the run of this scenario")
    why.add_argument("--target", metavar="URL", help="the target, or 'env NAME' for the URL in a variable")
    why.add_argument("--account", metavar="NAME", help="who would run it (default: you)")
    why.add_argument(
        "--role", choices=("viewer", "operator", "author", "admin"), default="", help="the role of a server's token"
    )
    why.add_argument("--rate", type=_rate, metavar="RATE", help="the highest rate")
    why.add_argument("--queue", action="append", default=[], metavar="NAME", help="a queue (repeatable)")
    why.add_argument("--at", metavar="TIME", help="when it would begin, such as 2040-01-31T18:30:00Z (default: now)")
    why.add_argument("--for", dest="lasting", type=_duration, metavar="TIME", help="how long it would last")
    why.add_argument("--env", metavar="NAME", help="as in plg check")
    why.add_argument("--json", action="store_true", help="as JSON")
    for each in (check, why):
        each.add_argument("--policy", metavar="FILE", help="a policy file to apply beside those that hold here")
