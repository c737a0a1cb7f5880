"""``plg serve`` in a process of its own, and a client that knows nothing of how it is made."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from support.real_servers import free_port

BASE = "/api/v1/load-test"
SOUND = ("pass", "invalid")
"""What a run that nothing is wrong with may come to: a machine with too much else to do makes it invalid."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """``plg serve`` on a port of its own."""

    data: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "plg", "serve", "--port", str(self.port), "--data", str(self.data)]
        secret = {"SERVER_SECRET": "canary-of-the-environment", "REDIS_URL": "redis://canary:1/0"}
        secret["PLG_KEYS"] = f"test:{'1f' * 32}"
        secret["PLG_AUDIT_ANCHORS"] = str(self.data / "anchors")
        self.process = subprocess.Popen(
            [*command, *self.options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **secret}
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().decode()
        assert self.first_line, self.process.stderr.read().decode()
        deadline = time.monotonic() + 20
        while self.ask("GET", "/readyz").status != 200:
            assert time.monotonic() < deadline

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; names of headers with ``_`` for ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {} if data is None else {"Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, data, given)
            found = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def start_test(self, body: Any, **headers: str) -> str:
        answer = self.ask("POST", f"{BASE}/patterns/start", body, **headers)
        assert answer.status == 202, answer.body
        return str(answer.json["test_id"])

    def status(self, test_id: str) -> Any:
        return self.ask("GET", f"{BASE}/patterns/{test_id}/status").json

    def until(self, test_id: str, holds: Callable[[Any], bool], patience: float = 60.0) -> Any:
        deadline = time.monotonic() + patience
        while not holds(found := self.status(test_id)):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def ended(self, test_id: str) -> Any:
        return self.until(test_id, lambda s: s["status"] not in ("queued", "running", "draining"))

    def stream(self, test_id: str, query: str = "", **more: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}{BASE}/stream/{test_id}{query}", proxy=None, **more)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._close()
        return code

    def _close(self) -> None:
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def document(redis: Any, queue: str, **more: Any) -> dict[str, Any]:
    """A test of some three hundred jobs in three seconds."""
    return {
        "name": "sale",
        "target": f"redis://127.0.0.1:{redis.port}/0",
        "jobs": [{"name": "job", "queue": queue, "payload": {"n": "${seq}"}}],
        "pattern": {"type": "steady", "base_rate": 100, "duration": "3s"},
        "guardrails": {"max_rate": 500, "max_total_jobs": 5000, "max_duration": "1m"},
        "watch": "0s",
        "expect": ["errors == 0"],
        **more,
    }
