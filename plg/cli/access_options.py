"""Arguments of the commands that say who may do what, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
