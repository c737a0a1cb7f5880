"""Fixtures of the report tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.report_samples import SAMPLES

from plg.outcome import Outcome

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(params=sorted(SAMPLES))
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """Each of the sample outcomes in turn."""
    return SAMPLES[request.param]()


@pytest.fixture(scope="session")
def browser() -> str:
    """Path of a Chromium; tests that need one are skipped without it."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium or Chrome on PATH")
    return found


@pytest.fixture(scope="session")
def dump(browser: str) -> Callable[..., str]:
    """Open a page without a screen and return its document as it stands after the scripts have run."""

    def run(page: Path | str, folder: Path, *flags: str, width: int = 1280) -> str:
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--no-first-run", f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1400",
            "--virtual-time-budget=15000", *flags, "--dump-dom", page if isinstance(page, str) else page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
