"""All that is proved with the Sidekiq of this system, with the newest one: that of Debian's testing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.kept import newest_sidekiq

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(400)]
PROOFS = ("framework_proof", "framework_workers", "far_side_workers", "clean_workers")


def test_the_newest_sidekiq_keeps_what_the_older_one_does() -> None:
    program = newest_sidekiq()
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip(f"it does not run on this machine: {told.stderr.strip().splitlines()[-1]}")
    assert int(told.stdout.split()[1].partition(".")[0]) >= 8, told.stdout
    tests = [Path(__file__).with_name(f"test_{name}.py") for name in PROOFS]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "slow", "-k", "sidekiq", "-p", "no:cacheprovider", *tests],
        env=os.environ | {"PLG_TEST_SIDEKIQ": str(program)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:]
    passed = int(ran.stdout.rpartition(" passed")[0].split()[-1])
    assert passed >= 7
