"""Draws that must be the same on every machine, down to the last bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.pattern_documents import curve

from plg.patterns.draws import exponentials, units, words

PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
"""The first outputs of SplitMix64 started at 1234567, as other implementations of it print them."""

EXPONENTIALS = ["0x1.dd7866db1062ep-1", "0x1.8ca97d87cc17dp+0", "0x1.78c50e4b3f93dp+1"]
CHAOS = [129.15232954955601, 24.70072246788371, 272.21299056992734, 183.22048204786185]


def by_hand(seed: int, index: int) -> int:
    """SplitMix64 in Python's own whole numbers."""
    word = (1 << 64) - 1
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & word
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & word
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & word
    return z ^ (z >> 31)


def test_the_generator_is_splitmix64() -> None:
    assert words(1234567, np.arange(5)).tolist() == PUBLISHED
    for seed in (0, 1, 42, 2**63, 2**64 - 1):
        assert words(seed, np.arange(20)).tolist() == [by_hand(seed, i) for i in range(20)]


def test_any_draw_is_found_without_those_before_it() -> None:
    assert words(9, np.array([10**12])).tolist() == [by_hand(9, 10**12)]


def test_streams_of_one_seed_differ() -> None:
    draws = {stream: tuple(words(5, np.arange(4), stream).tolist()) for stream in range(4)}
    assert len(set(draws.values())) == 4


def test_units_fill_the_interval_evenly() -> None:
    draws = np.sort(units(3, np.arange(100_000)))
    assert 0 <= draws[0] < draws[-1] < 1
    ideal = (np.arange(100_000) + 0.5) / 100_000
    assert np.abs(draws - ideal).max() < 1.63 / math.sqrt(100_000)  # Kolmogorov and Smirnov's bound at one percent


def test_exponentials_are_minus_the_logarithm_to_the_last_bits() -> None:
    index = np.arange(5000)
    got = exponentials(11, index, 1)
    wanted = [-math.log(((w >> 11) + 0.5) * 2.0**-53) for w in words(11, index, 1).tolist()]
    assert np.abs(got - wanted).max() <= 4e-16 * max(wanted)
    assert np.all(got > 0)


def test_exponentials_keep_their_bits() -> None:
    assert [x.hex() for x in exponentials(7, np.arange(3), 1).tolist()] == EXPONENTIALS


def test_a_chaos_curve_keeps_its_bits() -> None:
    phase = {"type": "chaos", "base_rate": 20, "max_rate": 300, "period": 0.5, "duration": 10, "seed": 7}
    rates = curve(phase).rate(np.arange(0.25, 2, 0.5))
    assert rates.tolist() == CHAOS
    again = [20 + 280 * ((by_hand(7, i) >> 11) / 2**53) for i in range(4)]
    assert rates.tolist() == pytest.approx(again, rel=1e-15)


def test_chaos_stays_between_its_ends_and_cuts_its_last_draw() -> None:
    chaos = curve({"type": "chaos", "base_rate": 20, "max_rate": 300, "period": 0.4, "duration": 1, "seed": 1})
    rows = chaos.segments()
    assert rows is not None
    assert rows[:, 0] == pytest.approx([0.4, 0.4, 0.2])
    assert np.all((rows[:, 1] >= 20) & (rows[:, 1] < 300))
    assert np.array_equal(rows[:, 1], rows[:, 2])


def test_two_seeds_give_two_curves() -> None:
    phase = {"type": "chaos", "base_rate": 20, "max_rate": 300, "period": 0.5, "duration": 10}
    first, second, none = curve({**phase, "seed": 1}), curve({**phase, "seed": 2}), curve(phase)
    assert first.total != second.total
    assert none.total == curve({**phase, "seed": 0}).total
