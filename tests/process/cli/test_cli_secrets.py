"""A mistyped URL is told of without its password: in the terminal, in files and in annotations."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.cli_scenarios import QUICK

MISTYPED = [
    "redis:/:S3CRET@h:6379/0",
    "redis//:S3CRET@h",
    ":S3CRET@h:6379",
    "ann:S3CRET@h",
    "http://:S3CRET@h",
    "REDIS://:S3CRET@h",
    "redis://:S3CRET/x@h:1/0",
    "redis://:S3CRET@h:99999",
]


def files(folder):
    return "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("url", MISTYPED)
@pytest.mark.parametrize("how", ["--target", "--set", "file", "environment"])
def test_a_mistyped_url_shows_no_password(run, here, monkeypatch, url, how):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("QUEUE_URL", url)
    target = {
        "--set": 'param u = "embedded" target u',
        "file": f'target "{url}"',
        "environment": "target env QUEUE_URL",
    }
    text = QUICK.replace("{", "{ " + target.get(how, "target embedded"), 1)
    given = {"--target": ["--target", url], "--set": ["--set", f"u={url}"]}.get(how, [])
    (here / "a.plg").write_text(text, encoding="utf-8")
    done = run("check", "a.plg", *given, "--out", "out")
    assert done.code in (2, 6), done.said
    assert "S3CRET" not in done.said + files(here / "out")


def test_a_fault_beside_the_url_shows_no_password(run, here):
    (here / "a.plg").write_text('scenario a { target "redis://:S3CRET@h" trafic { } }', encoding="utf-8")
    for form in ("text", "json", "github"):
        done = run("lint", "a.plg", "--format", form)
        assert done.code == 2
        assert "S3CRET" not in done.said


def test_what_is_no_setting_shows_no_password(run, here):
    (here / "a.plg").write_text(QUICK, encoding="utf-8")
    done = run("check", "a.plg", "--set", "redis://:S3CRET@h")
    assert done.code == 2
    assert "S3CRET" not in done.said


SPREAD = """
scenario "NAME" {
  target env QUEUE_URL
  job a { queue "NAME" }
  workers 2 each 1ms
  traffic { steady 20/s over 2s }
  guardrails { max_rate 100/s max_total_jobs 100 max_duration 30s }
}
"""


def command_lines(parent):
    """Of all processes that a process has started, and those started."""
    below, found = {parent}, {}
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        with suppress(OSError, ValueError):
            pid, ppid = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
            if ppid in below:
                below.add(pid)
                found[pid] = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no list of processes to look at")
def test_no_process_shows_the_password_in_its_arguments(here, servers, any_binary):
    """Nor in the outcome, the pages or the annotations; the parameters of a run travel through pipes."""
    server = servers(any_binary, "--requirepass", "hunter2")
    for name in ("one", "two"):
        (here / f"{name}.plg").write_text(SPREAD.replace("NAME", name), encoding="utf-8")
    environ = {**os.environ, "QUEUE_URL": server.url(":hunter2"), "GITHUB_ACTIONS": "true"}
    command = [sys.executable, "-m", "plg", "check", "one.plg", "two.plg", "--parallel", "2", "--out", "out"]
    pipe = subprocess.PIPE
    check = subprocess.Popen(command, cwd=here, env=environ, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    seen = {}
    while check.poll() is None:
        seen |= command_lines(check.pid)
        time.sleep(0.05)
    said = check.communicate()[0]
    assert check.returncode in (0, 5), said  # whether this machine kept time does not matter here
    assert any("consumer" in line for line in seen.values()), f"the reference workers were seen: {said}"
    assert any("plg.runs.child" in line for line in seen.values()), f"and the scenarios: {said}"
    assert "hunter2" not in "".join(seen.values()) + said + files(here / "out")
