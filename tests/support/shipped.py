"""The shipped scenarios, and what each is known to send."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "scenarios"
SHIPPED = sorted(path for path in FOLDER.iterdir() if path.suffix in (".plg", ".yaml", ".yml", ".json"))


@dataclass(frozen=True)
class Facts:
    """``planned`` jobs in ``duration`` seconds, of which ``shed`` are clipped; ``jobs`` are the kinds of job.

    ``example``: whose worker takes the jobs; plg's own do where it is "".
    """

    planned: int
    duration: float
    jobs: tuple[str, ...]
    shed: int = 0
    example: str = ""


FACTS = {
    "bullmq-orders.plg": Facts(200, 12, ("charge", "express", "remind"), example="bullmq"),
    "celery-orders.plg": Facts(240, 13, ("charge", "remind"), example="celery"),
    "chaos-monkey.plg": Facts(2183, 16, ("poke",), shed=157),
    "daily-cycle.plg": Facts(2221, 20, ("order", "report")),
    "flash-sale.plg": Facts(2554, 18, ("checkout", "refund")),
    "gradual-rollout.plg": Facts(3340, 22, ("task",)),
    "mail-burst.yaml": Facts(1170, 12, ("mail", "receipt")),
    "recorded-hour.plg": Facts(1180, 15, ("view",)),
    "rq-orders.plg": Facts(110, 16, ("charge", "refund"), example="rq"),
    "soak.plg": Facts(3000, 60, ("work",)),
}
"""Worked out by hand where the curve allows it, arrivals standing at the halves.

Flash sale: the doors hold (200 - 10) / ln(200 / 10) * 4 = 253.7 jobs, the sine swings evenly about 200/s for 6 s, the
stampede is four half seconds at 400/s and six seconds at 50/s. Rollout: 4 * 10 + 2.4 * (50 + 100 + 150 + 200 + 250)
+ 6 * 250. Mail: 3 * 30 + 3 * 300 + 6 * 30. Soak: three whole swings about 50/s in a minute. Orders of RQ:
4 * 5 + 4 * (0.5 * 20 + 1.5 * 5) + 4 * 5; of Celery: 6 * (5 + 30) / 2 + 4 * 30 + 3 * 5; of BullMQ: two whole swings
about 20/s in 8 s, and 4 * 10.
"""

WITHOUT_EXAMPLE = [path for path in SHIPPED if path.name in FACTS and not FACTS[path.name].example]
"""Those that plg's own workers take the jobs of."""
