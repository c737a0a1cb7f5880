"""Small scenarios for the command line's tests."""

from __future__ import annotations

QUICK = """scenario "quick" {
  job job { queue "q" payload { n: "${seq}" } }
  traffic { steady 200/s over 100ms }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 30s }
  expect {
    errors == 0
    acked == 20
  }
}
"""


def quick(name: str = "quick", *, acked: int = 20, traffic: str = "steady 200/s over 100ms", arrivals: str = "") -> str:
    """A scenario that takes a tenth of a second and passes where ``acked`` is 20."""
    text = QUICK.replace('"quick"', f'"{name}"').replace("acked == 20", f"acked == {acked}")
    return text.replace("traffic { steady 200/s over 100ms }", f"traffic {arrivals} {{ {traffic} }}")
