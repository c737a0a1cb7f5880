"""Arguments of ``plg serve``, and of the commands that talk to such a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plg.cli.options import _command, _duration, _not, _positive

if TYPE_CHECKING:
    from plg.cli.options import Commands


def add_serve(commands: Commands) -> None:
    parser = _command(
        commands, "serve", "start, watch and stop load over HTTP, each test in a process of its own",
        "  plg serve --port 8080\n  plg serve --port 0 --data /var/lib/plg --max-tests 4",
    )  # fmt: skip
    parser.add_argument("--host", metavar="HOST", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument(
        "--port", metavar="PORT", type=_port, default=8080, help="on which port; 0 takes a free one (default: 8080)"
    )
    parser.add_argument("--allow-host", metavar="NAME", action="append", default=[], help="also answer to this Host")
    parser.add_argument(
        "--behind-proxy", action="store_true", help="a proxy in front has TLS: believe what it says of clients"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate (PEM) for TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="its key (PEM)")
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="a policy file to apply beside $PLG_POLICY and the plg-policy.yaml here or above",
    )
    parser.add_argument("--data", metavar="DIR", help="where tests are kept (default: the platform's data folder)")
    parser.add_argument(
        "--max-tests", metavar="N", type=_positive, default=10, help="tests that run at a time (default: 10)"
    )
    parser.add_argument(
        "--orphan-limit", metavar="TIME", type=_duration, default=10.0,
        help="how long a test goes on whose server has died (default: 10s)",
    )  # fmt: skip


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise _not("a port, or 0 for a free one", text)
    return int(text)


SERVER = (add_serve,)
