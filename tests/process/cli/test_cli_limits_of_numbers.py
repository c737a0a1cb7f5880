"""Numbers beyond all measure are faults of the scenario, told of briefly, and never faults of plg."""

from __future__ import annotations

import pytest
from support.cli_scenarios import QUICK, quick

HUGE = "9" * 400
TINY = "0." + "0" * 310 + "1"


def checked(run, here, text):
    (here / "a.plg").write_text(text, encoding="utf-8")
    done = run("plan", "a.plg")
    assert done.code == 2, done.said
    for line in done.said.splitlines():
        if "error[" in line:
            assert line.startswith("error[out-of-range]"), line
            assert len(line) < 100, line
            return
    pytest.fail(done.said)


@pytest.mark.parametrize(
    "traffic",
    [
        f"steady 1/s over {HUGE}s",
        f"steady {HUGE}/s over 1s",
        f"steady 1/s over {TINY}s",
        f"sine 5/s +- 1/s every {TINY}s over 1s",
        f"sine 5/s +- 1/s every 0.0000009ms over {TINY}s",
        f"burst 1/s -> 2/s for {TINY}s every {TINY}s over 1s",
        f"chaos 1/s .. 2/s every {TINY}s over 1s",
        f"points linear {{ 0s 1/s, {HUGE}s 2/s }}",
    ],
)
def test_in_traffic(run, here, traffic):
    checked(run, here, quick(traffic=traffic))


@pytest.mark.parametrize(
    "line",
    [
        f"max(latency) < {HUGE}s",
        f"deviation < {HUGE}%",
        f"throughput < {HUGE}/s",
        f"memory < {HUGE}MB",
        f"errors < {HUGE}",
        f"deviation < 5% in every {HUGE}s",
        f"deviation < 5% in {HUGE}% of 1s",
    ],
)
def test_in_expectations(run, here, line):
    checked(run, here, QUICK.replace("errors == 0", line))


def test_the_shortest_duration_is_a_nanosecond(run, here):
    (here / "a.plg").write_text(quick(traffic="steady 1/s over 0.000001ms then steady 1/s over 1s"), encoding="utf-8")
    assert run("plan", "a.plg").code == 0


def test_a_curve_of_pieces_too_short_to_tell_is_planned_without_a_word(run, here):
    (here / "a.plg").write_text(quick(traffic=f"points linear {{ 0s 1/s, {TINY}s 2000/s, 1s 4/s }}"), encoding="utf-8")
    done = run("plan", "a.plg", "--json")
    assert (done.code, done.err) == (0, "")
    assert '"planned": 1002' in done.out
