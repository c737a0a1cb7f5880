"""Questions to one server, or to all nodes of a cluster, and how many there were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass
from plg.queues.base import Question
from plg.targets.asked import Asked, Placed
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import own_words

BATCH = 2000
"""Questions in one round trip."""


@dataclass(slots=True)
class Reader:
    """An `Asked` that counts. ``seed`` is the connection to the server in the URL; ``home`` names the node of a key."""

    asked: Asked
    seed: Client
    home: Callable[[str], str] = lambda key: ""
    commands: int = field(default=0, init=False)

    @property
    def nodes(self) -> Sequence[str]:
        """See `Asked.nodes`."""
        return self.asked.nodes

    def ask(self, questions: Sequence[Placed]) -> list[Any]:
        """See `Asked.ask`."""
        answers: list[Any] = []
        for at in range(0, len(questions), BATCH):
            batch = questions[at : at + BATCH]
            self.commands += len(batch)
            answers += self.asked.ask(batch)
        return answers

    def ask_seed(self, *questions: Question) -> list[Any]:
        """Answers of the server in the URL; errors as exceptions, also where it hangs up on such questions."""
        self.commands += len(questions)
        found = self.seed.ask_or_why(questions)
        return found if isinstance(found, list) else [found] * len(questions)


def words_of(answer: Exception) -> str:
    """What the server said, for the end of a sentence."""
    return answer.message if isinstance(answer, TargetError) else own_words(answer)
