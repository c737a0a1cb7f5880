"""``--wait``: a server that is not up yet is waited for, said once, no part of the run; a signal ends it at once."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from support.real_servers import Scripted, answering, free_port

SCENARIO = """
scenario "late" {
  job a { queue "q" }
  traffic { steady 20/s over 500ms }
  guardrails { max_rate 500/s max_total_jobs 200 max_duration 5s }
  expect { errors == 0 }
}
"""
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "late.plg").write_text(SCENARIO)
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "plg", "check", "late.plg", *words, "--reports", "junit,json"]


def start(folder, *words: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        command(*words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def outcome(folder) -> dict:
    return json.loads((folder / "plg-report" / "late.outcome.json").read_text())


@pytest.mark.parametrize("how", ["flag", "url", "quiet"])
def test_a_server_that_comes_up_later(folder, servers, any_binary, how: str) -> None:
    place = folder / "s"
    url = f"unix://{place}" + ("?wait=20s" if how == "url" else "")
    given = {"flag": ["--wait", "20s"], "url": [], "quiet": ["--wait=20s", "--quiet"]}[how]
    check = start(folder, "--target", url, *given)
    assert check.stdout is not None
    for line in check.stdout:
        if "waiting" in line:
            break
    assert f"waiting up to 20s: {url} cannot be reached: No such file or directory" in line
    assert "--wait" not in line, "that it waits needs no advice to wait"
    time.sleep(1.0)
    place.symlink_to(servers(any_binary).path)
    rest = check.communicate(timeout=30)[0]
    assert check.returncode == 0, rest
    assert "waiting" not in rest, "once is enough"
    found = outcome(folder)
    assert found["duration_s"] < 1.0, "the time of waiting is no part of the run"
    assert found["ledger"]["acked"] == 10


def test_a_server_that_never_comes(folder) -> None:
    begun = time.monotonic()
    check = start(folder, "--target", f"redis://127.0.0.1:{free_port()}", "--wait", "1.5s")
    said = check.communicate(timeout=30)[0]
    assert check.returncode == 6
    assert said.count("waiting up to 1.5s") == 1
    assert "waited 1.5s for it" in said.splitlines()[-1]
    assert "--wait" not in said, "who has waited needs no advice to wait"
    assert 1.5 < time.monotonic() - begun < 5


def test_without_it_nothing_is_waited_for(folder) -> None:
    check = start(folder, "--target", f"redis://127.0.0.1:{free_port()}?socket_connect_timeout=10")
    said = check.communicate(timeout=30)[0]
    assert check.returncode == 6
    assert "waiting" not in said
    assert "a timeout in the URL is that of one attempt; ?wait=30s or --wait 30s waits" in said


def test_each_reason_is_told_once(folder) -> None:
    """Refused, then loading, then refused again, and so on: two lines."""
    with closing(Scripted(answering(LOADING))) as loading:

        def handle(connection: socket.socket) -> None:
            if loading.connections % 2:
                connection.close()  # as what publishes a container's port does before its server listens
            else:
                answering(LOADING)(connection)

        loading.handle = handle
        check = start(folder, "--target", loading.url, "--wait", "2s")
        said = check.communicate(timeout=30)[0]
    waits = [line for line in said.splitlines() if "waiting up to 2s" in line]
    assert check.returncode == 6
    assert 2 <= len(waits) == len(set(waits)) <= 3, "closed and reset are two words for one thing"
    assert any("LOADING" in line or "loading the dataset" in line for line in waits)
    assert loading.connections > 4


@pytest.mark.parametrize("parallel", [False, True])
def test_what_a_server_says_meanwhile_is_written_out(folder, parallel: bool) -> None:
    (folder / "other.plg").write_text(SCENARIO.replace('"late"', '"other"'))
    with closing(Scripted(answering(b"-LOADING \x1b[31mred\r\n"))) as loading:
        several = ["other.plg", "--parallel", "2"] if parallel else []
        said = start(folder, *several, "--target", loading.url, "--wait", "500ms").communicate(timeout=30)[0]
    assert "\x1b" not in said
    assert "LOADING \\x1b[31mred" in next(line for line in said.splitlines() if "waiting up to" in line)


def test_a_refusal_is_not_waited_for(folder, servers, any_binary) -> None:
    server = servers(any_binary, "--requirepass", "right")
    begun = time.monotonic()
    check = start(folder, "--target", server.url(":wrong"), "--wait", "30s")
    said = check.communicate(timeout=30)[0]
    assert check.returncode == 6
    assert "waiting" not in said
    assert time.monotonic() - begun < 10


def test_a_cluster_that_is_being_made(folder, servers, any_binary) -> None:
    node = servers(any_binary, "--cluster-enabled", "yes")
    check = start(folder, "--target", node.url(), "--wait", "30s")
    assert check.stdout is not None
    for line in check.stdout:
        if "waiting" in line:
            break
    assert "CLUSTERDOWN" in line
    assert node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == b"+OK\r\n"
    rest = check.communicate(timeout=40)[0]
    assert check.returncode == 0, rest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("silent", [False, True], ids=["nobody listens", "nobody answers"])
def test_a_signal_ends_the_waiting_within_a_second(folder, number: int, code: int, silent: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if silent else free_port()
        wait = ["--wait", "60s"]
        check = start(folder, "--target", f"redis://127.0.0.1:{port}?socket_connect_timeout=60", *wait)
        if silent:
            mute.settimeout(20)
            with mute.accept()[0] as client:
                assert client.recv(64)
                ended = end(check, number)
        else:
            assert check.stdout is not None
            assert any("waiting up to 1m" in line for line in check.stdout)
            ended = end(check, number)
    assert check.returncode == code
    assert ended < 1.0
    doing = "connected to" if silent else "waited for"
    assert outcome(folder)["exit_code"] == code
    assert outcome(folder)["reason"] == (
        f"interrupted by {signal.Signals(number).name} while it {doing} the server; nothing had been sent"
    )


def end(check: subprocess.Popen, number: int) -> float:
    """Seconds from the signal to the end."""
    sent = time.monotonic()
    check.send_signal(number)
    check.communicate(timeout=30)
    return time.monotonic() - sent


def test_on_a_terminal_it_is_one_line_too(folder) -> None:
    ours, theirs = pty.openpty()
    target = f"redis://127.0.0.1:{free_port()}"
    check = subprocess.Popen(command("--target", target, "--wait", "1s"), cwd=folder, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = []

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                said.append(piece)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert check.wait(30) == 6
    reader.join(10)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(said).decode())
    assert text.count("waiting up to 1s: redis://127.0.0.1:") == 1


def test_several_at_once_wait_each_and_say_so(folder, servers, any_binary) -> None:
    (folder / "other.plg").write_text(SCENARIO.replace('"late"', '"other"'))
    place = folder / "s"
    check = start(folder, "other.plg", "--target", f"unix://{place}", "--wait", "20s", "--parallel", "2", "--quiet")
    assert check.stdout is not None
    told = []
    for line in check.stdout:
        told += re.findall(r"(late|other) is waiting up to 20s", line)
        if len(told) == 2:
            break
    assert sorted(told) == ["late", "other"]
    place.symlink_to(servers(any_binary).path)
    rest = check.communicate(timeout=30)[0]
    assert check.returncode == 0, rest
