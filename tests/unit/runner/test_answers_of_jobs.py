"""A job is settled by the last of its answers, and failed by the first error among them, however answers arrive."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from plg.answers import Answers
from plg.runner.connection import Connection
from plg.targets.encoding import Command


class Answering:
    """A link that takes everything and hands out the answers it is given."""

    def __init__(self) -> None:
        self.backlog = 0
        self.answers: list[tuple[int, str | None]] = []

    def gather(self, pieces: object) -> bool:
        return True

    def receive(self) -> list[tuple[int, str | None]]:
        found, self.answers = self.answers, []
        return found

    def close(self) -> None:
        pass


flights = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=300)
@given(flights, st.randoms(use_true_random=False), st.floats(0, 0.5))
def test_the_first_error_of_a_job_is_its_fate(shapes, chance: random.Random, errors: float) -> None:
    link = Answering()
    transport = Connection(lambda: link, random.Random(1))
    due, fates, stream = 0, {}, []
    for each, jobs in shapes:
        dues = np.arange(due, due + jobs, dtype=np.float64)
        due += jobs
        transport.send([Command([b""], dues, each, "q")], 0.0)
        for answered in [dues.tolist()] if each == 0 else [[one] for one in dues.tolist()]:
            words = [f"ERR {n}" if chance.random() < errors else None for n in range(each or 1)]
            stream += words
            fates |= dict.fromkeys(answered, next((word for word in words if word), None))
    assert transport._pending() == len(stream)
    found: dict[float, str | None] = {}
    while stream:
        size = chance.randint(1, 4)
        part, stream = stream[:size], stream[size:]
        link.answers = _runs(part)
        answers = transport.collect(lambda: 1.0)
        assert not answers.unknown
        for row, dues in enumerate(answers.dues):
            found |= dict.fromkeys(dues.tolist(), answers.failed.get(row))
    assert found == fates
    assert transport.in_flight == transport.awaited == transport._pending() == 0


def _runs(words: list[str | None]) -> list[tuple[int, str | None]]:
    """Good answers are counted together, as the parser does."""
    runs: list[tuple[int, str | None]] = []
    for word in words:
        if word is None and runs and runs[-1][1] is None:
            runs[-1] = (runs[-1][0] + 1, None)
        else:
            runs.append((1, word))
    return runs


def test_good_answers_in_bulk_are_those_one_by_one() -> None:
    """The same jobs are settled wherever the answers are cut."""
    for cut in range(1, 12):
        settled = []
        for parts in ((cut, 12 - cut), (1,) * 12):
            link = Answering()
            transport = Connection(lambda link=link: link, random.Random(1))
            transport.send([Command([b""], np.arange(4.0), 3, "q")], 0.0)
            answers = Answers()
            for size in parts:
                link.answers = [(size, None)]
                answers.extend(transport.collect(lambda: 1.0))
            settled.append(np.concatenate(answers.dues).tolist())
            assert sum(answers.sizes) == 4
            assert transport.in_flight == transport._answered == 0
        assert settled[0] == settled[1] == [0, 1, 2, 3]
