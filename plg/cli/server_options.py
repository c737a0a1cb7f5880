"""Arguments of ``plg serve``, and of the commands that talk to such a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plg.cli.options import _command, _duration, _not, _positive, _seed

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
    parser.add_argument(
        "--database", metavar="URL",
        help="where profiles are kept: sqlite:///FILE, postgresql://…, folder:DIR, or 'env NAME' (default: in --data)",
    )  # fmt: skip
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


def _start(commands: Commands) -> None:
    parser = _command(
        commands, "start", "have a server (PLG_SERVER, PLG_TOKEN) start a test",
        "  plg start scenarios/flash-sale.plg --watch\n  plg start nightly --set peak=900/s",
    )  # fmt: skip
    parser.add_argument("what", metavar="FILE|PROFILE", help="a scenario file, or a profile that the server keeps")
    parser.add_argument(
        "--target", metavar="URL", help="where the jobs go, or 'env NAME'; overrides the scenario's own"
    )
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="give a param another value (repeatable)"
    )
    parser.add_argument("--seed", type=_seed, metavar="N", help="seed of random arrivals and random payloads")
    parser.add_argument("--key", metavar="KEY", help="with the same key a second command starts nothing anew")
    parser.add_argument("--watch", action="store_true", help="follow it to its end, as plg watch does")
    parser.add_argument("--json", action="store_true", help="the answer of the server as JSON")


def _stop(commands: Commands) -> None:
    parser = _command(commands, "stop", "end tests of a server (PLG_SERVER, PLG_TOKEN)", "  plg stop 3f9c01d2ab47")
    parser.add_argument("tests", nargs="+", metavar="TEST", help="its id, as plg status says")


def _status(commands: Commands) -> None:
    parser = _command(
        commands, "status", "how the tests of a server (PLG_SERVER, PLG_TOKEN) stand",
        "  plg status --limit 50\n  plg status 3f9c01d2ab47 --json",
    )  # fmt: skip
    parser.add_argument("test", nargs="?", metavar="TEST", help="one test in full (default: a list of all)")
    parser.add_argument("--limit", metavar="N", type=_positive, default=20, help="tests in the list (default: 20)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _watch(commands: Commands) -> None:
    parser = _command(
        commands, "watch", "follow a test of a server (PLG_SERVER, PLG_TOKEN) to its end and exit by its verdict",
        "  plg watch 3f9c01d2ab47\n  plg watch 3f9c01d2ab47 --json",
    )  # fmt: skip
    parser.add_argument("test", metavar="TEST", help="its id, as plg status says")
    parser.add_argument("--json", action="store_true", help="its messages as they come, one JSON object a line")


SERVER = (add_serve, _start, _stop, _status, _watch)
