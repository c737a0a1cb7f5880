"""Kinds of jobs by weight: exact shares, evenly spread, known for any arrival by itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plan_scenarios import everything, plan

from plg.plan.interleave import FINEST, Interleave, _Fork

weights_ = st.lists(
    st.one_of(st.integers(1, 20).map(float), st.floats(0.01, 100).map(lambda x: round(x, 2))), min_size=1, max_size=9
)


def bounds(tree: Interleave) -> dict[int, float]:
    """The proven bound of each kind: ½·(1 + Σ w/w_g) over the groups around it other than the whole."""
    found: dict[int, float] = {}
    stack: list[tuple[int | _Fork, list[int]]] = [(tree._root, [])]
    while stack:
        branch, around = stack.pop()
        if isinstance(branch, int):
            weight = tree.weights[branch]
            found[branch] = 0.5 * (1 + sum(weight / group for group in around))
            continue
        inner = around if branch is tree._root else [*around, branch.whole]
        stack += [(branch.left, inner), (branch.right, inner)]
    return found


@settings(max_examples=150, deadline=None)
@given(weights_)
def test_every_prefix_is_within_the_proven_bound(weights: list[float]) -> None:
    tree = Interleave(weights)
    kinds = tree.kinds(np.arange(3000))
    total = sum(Fraction(str(w)) for w in weights)
    for kind, bound in bounds(tree).items():
        ideal = np.arange(1, 3001) * float(Fraction(str(weights[kind])) / total)
        assert np.abs(np.cumsum(kinds == kind) - ideal).max() <= bound + 1e-6
        assert bound < 2
        if len(weights) <= 2:
            assert bound <= 0.5
        if len(weights) == 3:
            assert bound <= 1


def test_a_common_mix_is_spread_as_evenly_as_it_can_be() -> None:
    assert Interleave([8, 2]).kinds(np.arange(10)).tolist() == [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]
    assert Interleave([1, 1]).kinds(np.arange(6)).tolist() == [0, 1, 0, 1, 0, 1]
    assert Interleave([3]).kinds(np.arange(4)).tolist() == [0, 0, 0, 0]


def test_shares_are_exact_over_a_whole_turn() -> None:
    for weights in ([5, 3, 2], [0.1, 0.2, 0.7], [7, 1, 1, 1], [1, 1, 1], [0.5, 1.25, 3]):
        whole = [round(w * 100) for w in weights]
        kinds = Interleave(weights).kinds(np.arange(sum(whole)))
        assert np.bincount(kinds, minlength=len(weights)).tolist() == whole


def test_any_arrival_is_known_by_itself() -> None:
    tree = Interleave([5, 3, 2, 0.5])
    together = tree.kinds(np.arange(10**12, 10**12 + 500))
    alone = [int(tree.kinds(np.array([k]))[0]) for k in range(10**12, 10**12 + 500)]
    assert together.tolist() == alone
    assert tree.kinds(np.array([[0, 1], [2, 3]])).shape == (2, 2)


def test_a_kind_without_weight_is_never_sent() -> None:
    assert set(Interleave([0, 1, 2]).kinds(np.arange(100)).tolist()) == {1, 2}


def test_unwieldy_weights_are_held_to_a_billionth() -> None:
    tree = Interleave([0.123456789012345, 1.987654321098765, 1e-7])
    assert sum(tree.weights) <= FINEST + 3
    share = np.bincount(tree.kinds(np.arange(1_000_000)), minlength=3) / 1_000_000
    assert share[0] == pytest.approx(0.123456789012345 / 2.11111121, rel=1e-4)


@pytest.mark.parametrize("poisson", [False, True])
def test_the_plan_hands_out_kinds_by_weight(poisson: bool) -> None:
    made = plan(weights=(5, 3, 2), poisson=poisson, seed=4)
    counts = np.bincount(everything(made).kind)
    assert counts == pytest.approx(np.array([0.5, 0.3, 0.2]) * made.planned, abs=1.5)
