"""Every command's arguments, in one table of functions."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from plg.cli.store_options import add_history, add_profile, record_options

if TYPE_CHECKING:
    from plg.cli.parser import Parser

    Commands = argparse._SubParsersAction[Parser]

TEMPLATES = ("flash-sale", "daily-cycle", "gradual-rollout", "soak", "spike")


def add_commands(parser: Parser) -> None:
    """Attach all sub-commands to ``parser``."""
    from plg.cli.access_options import add_audit, add_policy, add_target, add_token
    from plg.cli.server_options import SERVER

    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (
        _check, _lint, _plan, _fmt, _convert, _judge, _report, _merge, _new, _schema, _queues, _clean, _doctor,
        add_profile, add_history, add_target, add_policy, add_token, add_audit,
        *SERVER,
    ):  # fmt: skip
        add(commands)
    parser.commands = dict(commands.choices)


def _command(commands: Commands, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _scenario_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        metavar="URL",
        help="redis://, rediss://, redis+sentinel:// or unix:// URL, 'embedded' or 'fake', or 'env NAME' for the URL "
        "in a variable; overrides the scenario's own",
    )
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="give a param another value (repeatable)"
    )
    parser.add_argument("--seed", type=_seed, metavar="N", help="seed of random arrivals and random payloads")
    parser.add_argument("--env", metavar="NAME", help="apply this environment's ceilings from the policy file as well")
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="a policy file to apply beside $PLG_POLICY and the plg-policy.yaml here or above",
    )


def _not(wanted: str, text: str) -> argparse.ArgumentTypeError:
    """Why an option cannot take ``text``, and what to write where only its digits are those of another script."""
    from plg.units import plain_digits

    written = plain_digits(text)
    return argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}" + (f": write {written}" * (written != text)))


def _seed(text: str) -> int:
    if not text.isascii():
        raise _not("a whole number", text)
    try:
        return int(text)
    except ValueError:
        raise _not("a whole number", text) from None


def _connections(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 64:
        raise _not("a whole number from 1 to 64", text)
    return int(text)


def _duration(text: str) -> float:
    from plg.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        raise _not("a duration such as 30s", text) from None


def _check(commands: Commands) -> None:
    parser = _command(
        commands, "check", "validate, plan, run and judge scenarios, and write the artifacts",
        "  plg check scenarios/flash-sale.plg\n"
        "  plg check 'scenarios/*.plg' --out plg-report --target redis://localhost:6379/0 --set peak=900/s\n"
        "  plg check 'scenarios/*.plg' --parallel 4\n"
        "  plg check sale.plg --shard 2/4 --start-at 2040-01-31T18:30:00Z --target redis://queue:6379/0",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", help="scenario files or globs, run in turn or in parallel")
    check_options(parser)
    parser.set_defaults(profile=None)


def check_options(parser: argparse.ArgumentParser) -> None:
    """How scenarios are run, and what is written of it."""
    parser.add_argument(
        "--out", metavar="DIR", default="plg-report", help="where the artifacts go (default: plg-report)"
    )
    parser.add_argument(
        "--wait",
        type=_duration,
        metavar="TIME",
        help="how long to wait for a server that is not up yet, for example 30s (or ?wait=30s in the URL)",
    )
    parser.add_argument(
        "--force", action="store_true", help="send also to queues that belong to a framework such as Celery or RQ"
    )
    parser.add_argument(
        "--clean", action="store_true",
        help="once the run is over, remove what it left in the target (see plg clean)",
    )  # fmt: skip
    parser.add_argument(
        "--reports", metavar="NAME,…", type=_reports,
        help="write these reports: junit, json, html, markdown, png (default: junit,json,html)",
    )  # fmt: skip
    parser.add_argument("--png", action="store_true", help="also write the charts as PNG (needs kaleido and a browser)")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first scenario that does not pass")
    parser.add_argument("--quiet", action="store_true", help="only the verdicts and the last line")
    parser.add_argument(
        "--live",
        action="store_true",
        help="draw the curves of the run and of its queue while it goes on, on a terminal",
    )
    parser.add_argument(
        "--connections",
        metavar="N",
        type=_connections,
        help="number of connections (1 to 64), to each node of a cluster; overrides the scenario's own",
    )
    parser.add_argument(
        "--parallel", metavar="N", type=_positive, default=1,
        help="run N scenarios at a time, each in a process of its own (default: 1, in turn)",
    )  # fmt: skip
    parser.add_argument(
        "--launch", metavar="WHERE",
        help="run as shards elsewhere, as one run with one verdict: local:4 (processes here), dask:ADDRESS[:N] "
        "(workers of a cluster), dask:local:4 (a cluster of its own)",
    )  # fmt: skip
    parser.add_argument(
        "--start-at", metavar="TIME", help="begin the schedule at this moment: 2040-01-31T18:30:05Z, or +5s from now"
    )
    parser.add_argument(
        "--run-id", metavar="NAME", type=_run_id, help="name of the run; the shards of one run share it"
    )
    _shard_option(parser)
    parser.add_argument(
        "--share-limits", action="store_true",
        help="with --shard: share max_total_jobs by a counter in the target instead of dividing it",
    )  # fmt: skip
    record_options(parser)
    _scenario_options(parser)


def _shard_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shard", metavar="I/N", type=_shard,
        help="make only part I of N of the run, every N-th arrival; N generators make all of it (see plg merge)",
    )  # fmt: skip


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise _not("a whole number from 1 to 1000", text)
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    """``2/4`` as (1, 4): the index from 0, and how many."""
    found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise _not("I/N with I from 1 to N, such as 2/4", text)
    return int(found[1]) - 1, int(found[2])


def _reports(text: str) -> tuple[str, ...]:
    from plg.reports.registry import named

    try:
        return named(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


def _run_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(
            f"must be up to 64 letters, digits, dots, dashes and underscores, not {text!r}"
        )
    return text


def _lint(commands: Commands) -> None:
    parser = _command(
        commands,
        "lint",
        "show all faults of scenario files; sends nothing",
        "  plg lint scenarios/*.plg --format github",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="scenario files or globs")
    parser.add_argument(
        "--stdin", action="store_true",
        help="look at the text on standard input, for editors; FILE is then what it is called (default: stdin.plg)",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("text", "json", "github"), default="text", help="how faults are written (default: text)"
    )


def _plan(commands: Commands) -> None:
    parser = _command(
        commands, "plan", "draw what a scenario would send and what would clip it; sends nothing",
        "  plg plan scenarios/flash-sale.plg\n  plg plan scenarios/flash-sale.plg --json --arrivals arrivals.csv",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="scenario file")
    parser.add_argument("--json", action="store_true", help="the plan as JSON instead of a drawing")
    parser.add_argument(
        "--arrivals",
        metavar="CSV",
        help="also write every arrival: seq,due_s,job,phase (- for standard output, in place of the drawing)",
    )
    _shard_option(parser)
    _scenario_options(parser)


def _fmt(commands: Commands) -> None:
    parser = _command(
        commands, "fmt", "lay out .plg files canonically, comments kept", "  plg fmt scenarios/*.plg --check"
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="scenario files or globs")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 3 when a file would change")


def _convert(commands: Commands) -> None:
    parser = _command(
        commands, "convert", "write a scenario in another spelling, to standard output",
        "  plg convert scenarios/flash-sale.plg --to yaml > flash-sale.yaml",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="scenario file")
    parser.add_argument("--to", choices=("plg", "yaml", "json"), required=True, help="the spelling wanted")


def _judge(commands: Commands) -> None:
    parser = _command(
        commands, "judge", "judge a saved outcome again; needs no target",
        "  plg judge plg-report/flash-sale.outcome.json scenarios/flash-sale.plg",
    )  # fmt: skip
    parser.add_argument("outcome", metavar="OUTCOME.json", help="outcome saved by plg check")
    parser.add_argument(
        "scenario", nargs="?", metavar="SCENARIO", help="take the expectations of this file (default: those saved)"
    )
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="give a param another value (repeatable)"
    )
    parser.add_argument("--out", metavar="DIR", help="write the artifacts of the new judgement there")


def _report(commands: Commands) -> None:
    parser = _command(
        commands, "report", "render saved outcomes again; several are overlaid in one HTML",
        "  plg report plg-report/flash-sale.outcome.json --html again.html --markdown -",
    )  # fmt: skip
    parser.add_argument("outcomes", nargs="+", metavar="OUTCOME.json", help="outcomes saved by plg check")
    _report_options(parser)


def _report_options(parser: argparse.ArgumentParser) -> None:
    from plg.reports.registry import REPORTS

    for report in REPORTS.values():
        needs = f" (needs {report.needs})" if report.needs else " (- for standard output)"
        parser.add_argument(f"--{report.name}", metavar="FILE", help=f"write {report.about} there{needs}")


def _merge(commands: Commands) -> None:
    parser = _command(
        commands, "merge", "judge the shards of one run as the one run they are, and write its artifacts",
        "  plg merge shards/flash-sale.shard-*.outcome.json --out plg-report",
    )  # fmt: skip
    parser.add_argument("outcomes", nargs="+", metavar="OUTCOME.json", help="outcomes saved by plg check --shard I/N")
    parser.add_argument(
        "--out", metavar="DIR", default="plg-report", help="where the artifacts go (default: plg-report)"
    )
    parser.add_argument(
        "--partial", action="store_true", help="put together what there is of the run; its verdict is INVALID"
    )
    _report_options(parser)


def _new(commands: Commands) -> None:
    parser = _command(
        commands, "new", "write a scenario to start from", "  plg new checkout-sale --template flash-sale --github"
    )
    parser.add_argument("name", metavar="NAME", help="name of the scenario; NAME.plg is written")
    parser.add_argument(
        "--template", choices=TEMPLATES, default="flash-sale", help="what to start from (default: flash-sale)"
    )
    parser.add_argument("--github", action="store_true", help="also write .github/workflows/plg.yml that runs it")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")


def _schema(commands: Commands) -> None:
    parser = _command(commands, "schema", "print a JSON Schema", "  plg schema scenario > scenario.schema.json")
    parser.add_argument(
        "which",
        nargs="?",
        choices=("scenario", "outcome", "policy"),
        default="scenario",
        help="which one (default: scenario)",
    )


def _queues(commands: Commands) -> None:
    parser = _command(commands, "queues", "list the queue formats that jobs can be written in", "  plg queues --json")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _clean(commands: Commands) -> None:
    parser = _command(
        commands, "clean", "remove the jobs and results that one run left in the target, and nothing else",
        "  plg clean --list --target redis://localhost:6379/0\n"
        "  plg clean 3f9c01d2ab47 --target redis://localhost:6379/0 --dry-run",
    )  # fmt: skip
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of the run, as --list says, or its outcome.json")
    parser.add_argument(
        "--list", action="store_true", help="list the runs that the target knows of, with what is left of each"
    )
    parser.add_argument("--all", action="store_true", help="all runs that the target knows of and that are over")
    parser.add_argument(
        "--target",
        metavar="URL",
        help="redis://, rediss://, redis+sentinel:// or unix:// URL, or 'env NAME' for the URL in a variable",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed; changes nothing")
    parser.add_argument("--force", action="store_true", help="remove also what a worker has, or had when it was killed")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--wait", type=_duration, metavar="TIME", help="how long to wait for a server that is not up")


def _doctor(commands: Commands) -> None:
    parser = _command(
        commands, "doctor", "tell what is at a target: server, queues and what would surprise; writes nothing",
        "  plg doctor redis://localhost:6379/0\n  plg doctor 'env REDIS_URL' --json",
    )  # fmt: skip
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="redis://, rediss://, redis+sentinel:// or unix:// URL, or 'env NAME' for the URL in a variable",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--wait", type=_duration, metavar="TIME", help="how long to wait for a server that is not up")
