"""The example in the documentation is a target that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import plg
from plg.queues.base import Job, Queue
from plg.targets import open as doors
from plg.targets.base import TargetError

PAGE = Path(plg.__file__).parent.parent / "docs" / "extending-targets.md"
JOBS = (Job("a", queue=Queue("list", "orders")),)
SSH = """#!{python}
import socket, sys, threading
_, port, _, _ = sys.argv[sys.argv.index("-L") + 1].split(":")
if sys.argv[-1] == "closed-host":
    sys.exit("ssh: connect to host closed-host: no")
listener = socket.create_server(("127.0.0.1", int(port)))

def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass

while True:
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", {port}))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""


@pytest.fixture
def tunnel(servers, any_binary, tmp_path, monkeypatch):
    """The class of the page in the table, with a program named ssh that forwards to a real server."""
    if not PAGE.exists():
        pytest.skip("the documentation does not travel with an installed package")
    server = servers(any_binary)
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH.format(python=sys.executable, port=server.port))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {"TARGETS": dict(doors.TARGETS)}
    for block in blocks:
        exec(block, names)
    monkeypatch.setattr(doors, "TARGETS", names["TARGETS"])
    return server


def test_the_example_opens_and_ends(tunnel):
    with doors.open_target("ssh://far-host", JOBS) as target:
        assert target.server.kind == "ssh"
        raw = target.connect()
        raw.settimeout(5)
        raw.sendall(b"*3\r\n$5\r\nLPUSH\r\n$6\r\norders\r\n$1\r\nx\r\n")
        assert raw.recv(64) == b":1\r\n"
        raw.close()
        probe = target.probe()
        assert probe.look().waiting == 1
        probe.close()
        assert target._ssh.poll() is None
    assert target._ssh.poll() is not None


def test_the_example_refuses_as_the_page_says(tunnel, monkeypatch):
    start = time.monotonic()
    with pytest.raises(TargetError) as caught:
        doors.open_target("ssh://closed-host", JOBS)
    assert (caught.value.kind, time.monotonic() - start < 4) == ("unreachable", True)
    with pytest.raises(TargetError) as caught:
        doors.open_target("ssh://-oProxyCommand=x", JOBS)
    assert caught.value.kind == "refused"
    monkeypatch.setattr(subprocess, "Popen", _no_such_program)
    with pytest.raises(TargetError) as caught:
        doors.open_target("ssh://far-host", JOBS)
    assert caught.value.kind == "missing"


def _no_such_program(*_, **__):
    raise FileNotFoundError("ssh")
