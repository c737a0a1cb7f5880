"""What the command line keeps libraries from doing while they load."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from plg.cli.loading import loading

ROOT = Path(__file__).parents[3]


def test_the_collector_rests_while_much_is_loaded_and_leaves_it_alone_after() -> None:
    frozen = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        with loading():
            pass
        assert not gc.isenabled(), "the outermost decides"
        kept = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_the_collector_works_again_after_a_fault() -> None:
    with pytest.raises(ValueError, match="x"), loading():
        raise ValueError("x")
    assert gc.isenabled()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
@pytest.mark.parametrize("command", ["plan", "lint"])
def test_no_library_starts_a_thread(command: str) -> None:
    code = (
        "import os, sys; from plg.cli.main import main\n"
        f"main([{command!r}, 'scenarios/flash-sale.plg'])\n"
        "assert 'numpy' in sys.modules\n"
        "print('threads', len(os.listdir('/proc/self/task')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "threads 1"
