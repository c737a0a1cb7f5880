"""How long the light commands take, whole process, as a shell sees them.

    python bench/startup.py [RUNS]

Prints the median and the fastest of RUNS (default 12) of each, beside its budget, and exits 1 when a median is over it.
Run it on a quiet machine: these are wall times.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCENARIO = str(ROOT / "scenarios" / "flash-sale.plg")
BUDGETS = {
    ("--help",): 0.3,
    ("lint", SCENARIO): 0.6,
    ("fmt", "--check", SCENARIO): 0.6,
    ("plan", SCENARIO): 1.0,
}
"""Arguments of plg and the seconds they may take."""


def command_name(arguments: tuple[str, ...]) -> str:
    """The command as people would write it."""
    return " ".join(["plg", *(argument.replace(f"{ROOT}/", "") for argument in arguments)])


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall time of one run, from start to exit."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "plg", *arguments], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    return time.perf_counter() - start


def main(runs: int) -> int:
    """Measure every command and tell which were within their budget."""
    over = 0
    for arguments, budget in BUDGETS.items():
        seconds(arguments)  # the first run compiles and warms the file cache
        times = [seconds(arguments) for _ in range(runs)]
        median = statistics.median(times)
        over += median > budget
        print(f"{command_name(arguments):42} median {median:.3f} s  fastest {min(times):.3f} s  budget {budget:.1f} s")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 12))
