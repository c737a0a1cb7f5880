"""The shipped scenarios, and what each is known to send."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "scenarios"
SHIPPED = sorted(path for path in FOLDER.iterdir() if path.suffix in (".plg", ".yaml", ".yml", ".json"))


@dataclass(frozen=True)
class Facts:
    """``planned`` jobs in ``duration`` seconds, of which ``shed`` are clipped; ``jobs`` are the kinds of job."""

    planned: int
    duration: float
    jobs: tuple[str, ...]
    shed: int = 0


FACTS = {
    "chaos-monkey.plg": Facts(2183, 16, ("poke",), shed=157),
    "daily-cycle.plg": Facts(2221, 20, ("order", "report")),
    "flash-sale.plg": Facts(2554, 18, ("checkout", "refund")),
    "gradual-rollout.plg": Facts(3340, 22, ("task",)),
    "mail-burst.yaml": Facts(1170, 12, ("mail", "receipt")),
    "recorded-hour.plg": Facts(1180, 15, ("view",)),
    "soak.plg": Facts(3000, 60, ("work",)),
}
"""Worked out by hand where the curve allows it, arrivals standing at the halves.

Flash sale: the doors hold (200 - 10) / ln(200 / 10) * 4 = 253.7 jobs, the sine swings evenly about 200/s for 6 s, the
stampede is four half seconds at 400/s and six seconds at 50/s. Rollout: 4 * 10 + 2.4 * (50 + 100 + 150 + 200 + 250)
+ 6 * 250. Mail: 3 * 30 + 3 * 300 + 6 * 30. Soak: three whole swings about 50/s in a minute.
"""
