"""Every queue format, and a framework's own worker, on other servers than the two that all tests run on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.frameworks import FRAMEWORKS, TAKES, working
from support.kept import SERVERS, server_program

from plg import session
from plg.prepare import Request, prepare

pytestmark = [pytest.mark.slow, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "versions" {{
  job work {{ queue bullmq "shop"  call "work"  {takes} }}
  traffic {{ ramp 20/s -> 80/s over 2s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch 30s
  expect {{ completed == 100  lost == 0  duplicates == 0 }}
}}
"""


@pytest.mark.parametrize("name", SERVERS)
def test_every_format_holds_on_it(name: str) -> None:
    tests = Path(__file__).with_name("test_queue_conformance.py")
    command = [sys.executable, "-m", "pytest", "-q", "-k", "real", "-p", "no:cacheprovider", str(tests)]
    program = server_program(name)
    ran = subprocess.run(
        command, env=os.environ | {"PLG_TEST_SERVER": str(program)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout


@pytest.mark.framework
@pytest.mark.parametrize("name", SERVERS)
def test_the_workers_of_bullmq_do_its_jobs_once_on_it(name: str, made, servers, tmp_path: Path) -> None:
    """Its scripts and streams ask more of a server than any other framework's."""
    server = servers(server_program(name))
    kind, version = name.split("-")
    assert server.fact(f"{kind}_version").startswith(f"{version}.")
    bin, framework = made("bullmq"), FRAMEWORKS["bullmq"]
    (tmp_path / "s.plg").write_text(SCENARIO.format(takes=TAKES[framework.takes]))
    with working(framework, bin, tmp_path, server.url()) as worker:
        outcome = session.run(prepare(tmp_path / "s.plg", Request({}, target=server.url())), session.Observer())
        seen = worker.waits_for(100)
    assert [each.verdict for each in outcome.expectations] == ["pass"] * 3, outcome.reason
    assert outcome.target.version.startswith(f"{version}.")
    assert Counter(job["seq"] for job in seen) == Counter(range(100))
