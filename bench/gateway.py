"""A gateway from HTTP to the private server, for generators that speak HTTP only."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import Server

_PATIENCE = 5.0


@dataclass(frozen=True)
class Gateway:
    """webdis on a port of the loopback: ``GET /LPUSH/key/value`` is the command of these words."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Processor seconds used so far, from ``/proc``; of all threads, since most of it may not be in the first."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def gateway(program: str, server: Server) -> Iterator[Gateway]:
    """A webdis with one thread and one connection to ``server``; it ends with the block.

    Raises `TimeoutError` where it does not answer in time.
    """
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="plg-bench-") as folder:
        settings = {
            "redis_host": str(server.socket_path), "redis_port": 0, "http_host": "127.0.0.1", "http_port": port,
            "threads": 1, "pool_size": 1, "daemonize": False, "websockets": False, "database": 0, "verbosity": 0,
            "logfile": str(Path(folder) / "log"), "acl": [{"disabled": []}],
        }  # fmt: skip
        file = Path(folder) / "webdis.json"
        file.write_text(json.dumps(settings))
        process = subprocess.Popen([program, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_port(port)
            yield Gateway(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait()


def _await_port(port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise TimeoutError("webdis does not answer") from None
            time.sleep(0.02)  # it tells nobody when it is ready, so it is asked again
