"""The commands that talk to a server do there what they say, on a terminal and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.plg_server import Server

pytestmark = pytest.mark.slow
SCENARIO = """
scenario "commanded" {{
  param pace = 100/s
  target env QUEUE_URL
  data users "users.csv"
  job order {{ queue "{queue}" payload {{ to: "${{users.email}}" }} }}
  traffic {{ steady pace over {length} }}
  guardrails {{ max_rate 500/s max_total_jobs 5_000 max_duration 2m }}
  watch 0s
  expect {{ errors == {errors} }}
}}
"""


class Plg:
    """The program with a server to talk to."""

    def __init__(self, server: Server, redis: Any, folder: Path) -> None:
        url = f"redis://127.0.0.1:{redis.port}/0"
        self.environment = {**os.environ, "PLG_SERVER": f"http://127.0.0.1:{server.port}", "QUEUE_URL": url}
        self.redis, self.folder = redis, folder
        (folder / "users.csv").write_text("email\nann@example.com\n")

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "plg", *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )  # fmt: skip

    def scenario(self, queue: str, *, length: str = "1s", errors: int = 0) -> str:
        file = self.folder / f"{queue}.plg"
        file.write_text(SCENARIO.format(queue=queue, length=length, errors=errors))
        return str(file)

    def held(self, queue: str) -> list[Any]:
        client = Redis(port=self.redis.port)
        try:
            return [json.loads(job)["payload"] for job in client.lrange(queue, 0, -1)]
        finally:
            client.close()

    def on_terminal(self, *words: str) -> str:
        """What a terminal of 90 columns is told."""
        pid, terminal = pty.fork()
        if pid == 0:
            environment = {**self.environment, "TERM": "xterm", "COLUMNS": "90", "LINES": "40", "NO_COLOR": "1"}
            os.execve(sys.executable, [sys.executable, "-m", "plg", *words], environment)
        told = b""
        try:
            while data := os.read(terminal, 65536):
                told += data
        except OSError:
            pass  # a terminal whose other end is closed
        os.close(terminal)
        os.waitpid(pid, 0)
        return told.decode()


@pytest.fixture(scope="module")
def plg(plg_server: Server, redis_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Plg:
    return Plg(plg_server, redis_server, tmp_path_factory.mktemp("commands"))


def test_a_start_that_is_watched_is_a_check_elsewhere(plg: Plg) -> None:
    ran = plg("start", plg.scenario("cmd-watched", errors=1), "--set", "pace=50/s", "--watch")
    first, *rest = ran.stdout.splitlines()
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert "50 jobs in 1s" in ran.stderr
    assert (ran.returncode, rest[-1].startswith("exit 3: ")) == (3, True), ran.stdout
    assert "fail: errors == 1" in rest
    assert set(map(str, plg.held("cmd-watched"))) == {"{'to': 'ann@example.com'}"}


def test_a_test_is_started_looked_at_and_stopped(plg: Plg, plg_server: Server) -> None:
    test_id = plg("start", plg.scenario("cmd-stopped", length="60s")).stdout.strip()
    plg_server.until(test_id, lambda s: s["ledger"]["acked"] > 0)
    assert test_id in plg("status").stdout
    assert json.loads(plg("status", test_id, "--json").stdout)["status"] == "running"
    assert plg("stop", test_id).returncode == 0
    ran = plg("watch", test_id, "--json")
    messages = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [m["seq"] for m in messages] == sorted(m["seq"] for m in messages)
    assert (messages[-1]["type"], messages[-1]["status"], ran.returncode) == ("completion", "stopped", 130)
    assert "already-ended" in plg("stop", test_id).stderr
    assert len(plg.held("cmd-stopped")) == plg_server.status(test_id)["ledger"]["acked"]


def test_faults_stand_in_the_file_that_was_sent(plg: Plg) -> None:
    file = Path(plg.scenario("cmd-faulty"))
    file.write_text(file.read_text().replace("500/s", "500/fortnight"))
    ran = plg("start", str(file))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{file}:8:" in ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("watch", "none"), "there is no test"),
        (("status", "none"), "there is no test"),
    ],
)
def test_what_is_not_there_is_said(plg: Plg, words: tuple[str, ...], said: str) -> None:
    ran = plg(*words)
    assert (ran.returncode, said in ran.stderr) == (2, True), ran.stderr


def test_a_server_that_is_not_there_is_said(plg: Plg) -> None:
    plg.environment, before = {**plg.environment, "PLG_SERVER": "http://127.0.0.1:9"}, plg.environment
    ran = plg("status")
    plg.environment = before
    assert (ran.returncode, "no plg server answers" in ran.stderr) == (2, True)


def test_a_terminal_is_shown_the_curves(plg: Plg) -> None:
    told = plg.on_terminal("start", plg.scenario("cmd-terminal", length="2s"), "--watch")
    frames = [frame for frame in told.split("\r\x1b[2K") if "sent, ─ asked for" in frame]
    assert frames, told
    assert re.search(r"100(\.\d)?/s .*█|▇", frames[-1])
    assert "exit 0" in told or "exit 5" in told


def test_a_check_draws_its_curves_on_a_terminal_and_lines_in_a_pipe(plg: Plg) -> None:
    file, out = plg.scenario("cmd-live", length="2s"), str(plg.folder / "out")
    told = plg.on_terminal("check", file, "--live", "--reports", "json", "--out", out)
    frames = [frame for frame in told.split("\r\x1b[2K") if "sent, ─ asked for" in frame]
    assert len(frames) >= 2, told
    assert "queue" in frames[-1]
    piped = plg("check", file, "--live", "--reports", "json", "--out", out)
    assert "\x1b" not in piped.stdout
    assert "asked for" not in piped.stdout
