"""The arguments of the commands that keep something: profiles, and the history of runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plg.cli.parser import Parser

    Commands = argparse._SubParsersAction[Parser]


def place_options(parser: argparse.ArgumentParser) -> None:
    """Where profiles and runs are kept."""
    parser.add_argument(
        "--data", metavar="DIR",
        help="the folder that holds profiles and runs (default: $PLG_DATA, else the platform's folder for data)",
    )  # fmt: skip
    parser.add_argument(
        "--database", metavar="URL",
        help="keep them there instead: sqlite:///FILE, postgresql://…, folder:DIR, or 'env NAME' for the URL in a "
        "variable",
    )  # fmt: skip


def record_options(parser: argparse.ArgumentParser) -> None:
    """What makes a check keep its runs."""
    parser.add_argument("--record", action="store_true", help="add the runs to the history (see plg history)")
    place_options(parser)


def add_history(commands: Commands) -> None:
    """``plg history``."""
    parser = commands.add_parser(
        "history",
        help="list the runs that were recorded",
        description="List the runs that were recorded, newest first; or show, star or forget some.",
        epilog="example:\n  plg history --scenario flash-sale --branch main --limit 20\n"
        "  plg history 3f9c01d2ab47 --outcome flash-sale.outcome.json\n"
        "  plg history --keep 1000 --keep-for 90d",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="show this run alone")
    for name, what in (
        ("scenario", "this scenario"), ("verdict", "this verdict: pass, fail, invalid, stopped, error, interrupted"),
        ("branch", "this branch"), ("commit", "this commit"), ("profile", "this profile, by name or id"),
        ("who", "this account"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"only runs of {what}")
    parser.add_argument("--starred", action="store_true", help="only runs with a star")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="so many runs (default: 20)")
    parser.add_argument("--cursor", metavar="TEXT", default="", help="go on where the last list ended")
    parser.add_argument("--outcome", metavar="FILE", help="write the outcome of RUN there (- for standard output)")
    parser.add_argument("--star", action="store_true", help="keep RUN for ever")
    parser.add_argument("--unstar", action="store_true", help="keep RUN no longer than others")
    parser.add_argument(
        "--keep", metavar="N", help="from now on keep the N newest runs ('all' for all), beside those with a star"
    )
    parser.add_argument("--keep-for", metavar="TIME", help="from now on forget runs older than this, for example 90d")
    parser.add_argument("--json", action="store_true", help="as JSON")
    place_options(parser)


def add_profile(commands: Commands) -> None:
    """``plg profile …``."""
    parser = commands.add_parser(
        "profile",
        help="keep scenarios as profiles, with all their versions",
        description="Keep scenarios as profiles, with all their versions; their secrets are sealed.",
        epilog="example:\n  plg profile save scenarios/flash-sale.plg --tag sale --environment staging\n"
        "  plg profile list --tag sale\n  plg profile show flash-sale\n  plg profile history flash-sale",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True, help="what to do")
    for add in (_save, _list, _show, _run, _delete, _history, _export, _import, _share, _rekey):
        add(actions)
    parser.commands = dict(actions.choices)


def _action(actions: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    place_options(parser)
    return parser


def _profile_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="PROFILE", help="name or id of a profile")


def _save(actions: Any) -> None:
    parser = _action(actions, "save", "keep a scenario, or a new version of it", "plg profile save sale.plg --tag sale")
    parser.add_argument("file", metavar="FILE", help="scenario file")
    parser.add_argument("--name", metavar="NAME", help="name of the profile (default: the scenario's)")
    parser.add_argument("--description", metavar="TEXT", help="what it is for (default: the scenario's)")
    parser.add_argument("--tag", metavar="TAG", action="append", default=[], help="a tag (repeatable)")
    parser.add_argument("--environment", metavar="NAME", help="the environment that it is meant for")
    parser.add_argument(
        "--secret", metavar="FIELD", action="append", default=[],
        help="seal this field as well, for example params.token (repeatable)",
    )  # fmt: skip
    parser.add_argument("--if-version", metavar="N", type=int, help="only where the present version is this one")


def _list(actions: Any) -> None:
    parser = _action(actions, "list", "list the profiles", "plg profile list --tag sale --environment staging")
    parser.add_argument("--tag", metavar="TAG", action="append", default=[], help="only with this tag (repeatable)")
    parser.add_argument("--name", metavar="TEXT", default="", help="only with this in the name")
    parser.add_argument("--environment", metavar="NAME", default="", help="only for this environment")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="so many (default: 50)")
    parser.add_argument("--cursor", metavar="TEXT", default="", help="go on where the last list ended")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _show(actions: Any) -> None:
    parser = _action(
        actions, "show", "print a profile's scenario, secrets hidden", "plg profile show flash-sale --to yaml"
    )
    _profile_argument(parser)
    parser.add_argument("--version", metavar="N", type=int, help="an earlier version")
    parser.add_argument("--to", choices=("plg", "yaml", "json"), default="plg", help="the spelling (default: plg)")
    parser.add_argument("--json", action="store_true", help="the whole profile as JSON, not the scenario alone")


def _delete(actions: Any) -> None:
    parser = _action(actions, "delete", "forget a profile and all its versions", "plg profile delete flash-sale")
    _profile_argument(parser)
    parser.add_argument("--if-version", metavar="N", type=int, help="only where the present version is this one")


def _history(actions: Any) -> None:
    parser = _action(actions, "history", "list the versions of a profile", "plg profile history flash-sale")
    _profile_argument(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run(actions: Any) -> None:
    from plg.cli.options import check_options

    parser = actions.add_parser(
        "run",
        help="run a profile, as plg check runs a file",
        description="Run a profile, as plg check runs a file; its secrets reach the jobs and nothing else.",
        epilog="example:\n  plg profile run flash-sale --target redis://localhost:6379/0 --set peak=900/s --record",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _profile_argument(parser)
    parser.add_argument("--version", metavar="N", type=int, help="an earlier version")
    check_options(parser)


def _export(actions: Any) -> None:
    parser = _action(
        actions, "export", "write a profile to a file, without its secrets or sealed by a passphrase",
        "plg profile export flash-sale --out flash-sale.profile.json",
    )  # fmt: skip
    _profile_argument(parser)
    parser.add_argument("--version", metavar="N", type=int, help="an earlier version")
    parser.add_argument("--out", metavar="FILE", default="-", help="where to (default: - for standard output)")
    parser.add_argument(
        "--secrets", action="store_true",
        help="with its secrets, sealed by the passphrase in PLG_PASSPHRASE or typed in (default: without them)",
    )  # fmt: skip


def _import(actions: Any) -> None:
    parser = _action(
        actions, "import", "read a profile that was exported, as a new one or a new version",
        "plg profile import flash-sale.profile.json --name flash-sale-copy",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="what plg profile export wrote (- for standard input)")
    parser.add_argument("--name", metavar="NAME", help="another name")


def _share(actions: Any) -> None:
    parser = _action(
        actions, "share", "set who may see and change a profile on a server",
        "plg profile share flash-sale --private --user ann --role operator --may read",
    )  # fmt: skip
    _profile_argument(parser)
    parser.add_argument("--user", metavar="NAME", action="append", default=[], help="with this user (repeatable)")
    parser.add_argument("--role", metavar="NAME", action="append", default=[], help="with this role (repeatable)")
    parser.add_argument("--may", choices=("read", "write"), default="read", help="what they may (default: read)")
    parser.add_argument("--remove", action="store_true", help="no longer with these")
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--private", action="store_true", help="let nobody else see it")
    seen.add_argument("--public", action="store_true", help="let everybody see it whose role may see profiles")


def _rekey(actions: Any) -> None:
    _action(
        actions, "rekey", "seal all secrets with the first key of PLG_KEYS",
        'PLG_KEYS="new:$NEW_KEY,old:$OLD_KEY" plg profile rekey',
    )  # fmt: skip
