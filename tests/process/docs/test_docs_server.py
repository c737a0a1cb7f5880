"""The example of the page on the server does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.plg_server import SOUND, Server

PAGE = (Path(__file__).parents[3] / "docs/server.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.slow


def test_the_example_starts_a_test_and_hears_its_verdict(tmp_path: Path, server: Any) -> None:
    [body] = re.findall(r"-d '(\{.*?\})'$", PAGE, re.MULTILINE | re.DOTALL)
    [program] = [
        text for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if "connect" in text
    ]
    (tmp_path / "body.json").write_text(body.replace(":6379/", f":{server.port}/"))
    (tmp_path / "watch.py").write_text(program)
    plg = Server(tmp_path / "data")
    try:
        command = [sys.executable, "watch.py", f"http://127.0.0.1:{plg.port}/", "body.json"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    finally:
        plg.end()
    assert ran.returncode == 0, ran.stderr
    *rates, verdict = ran.stdout.splitlines()
    assert verdict.split()[0] in SOUND
    assert re.fullmatch(r"\d+\.\ds asked \d+/s, sent \d+/s", rates[-1])
    client = Redis(port=server.port)
    assert 0 < client.llen("orders") <= 100
    client.close()
