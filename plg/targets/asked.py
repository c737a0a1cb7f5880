"""Questions before a run: to one server, or to those of a cluster that hold the keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from plg.queues.base import Question
from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.client import Client

Placed = tuple[Question, str]
"""A question and the node to ask; with no name of one, where the question's key is."""


class Asked(Protocol):
    """Who is asked."""

    @property
    def nodes(self) -> Sequence[str]:
        """The names of those that share the keys, for questions that name no key; "" for one that stands alone."""

    def ask(self, questions: Sequence[Placed]) -> list[Any]:
        """Answers to questions in their order, errors as exceptions."""


class Alone:
    """A server that holds all keys."""

    nodes = ("",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(self, questions: Sequence[Placed]) -> list[Any]:
        """See `Asked.ask`."""
        return _answers(self._client, [question for question, _ in questions])


class Nodes:
    """The nodes of a cluster, by their addresses. Each question about a key goes to the one that holds it."""

    def __init__(
        self,
        nodes: Sequence[Address],
        address_of: Callable[[str], Address | None],
        client: Callable[[Address], Client],
    ) -> None:
        self.nodes = tuple(address.shown for address in nodes)
        self._addresses = {address.shown: address for address in nodes}
        self._address_of, self._client = address_of, client
        self._clients: dict[str, Client] = {}

    def ask(self, questions: Sequence[Placed]) -> list[Any]:
        """One round trip to each server that is concerned. What one of them does not answer is an exception."""
        answers: list[Any] = [TargetError("refused", "no node holds its key")] * len(questions)
        parts: dict[str, list[int]] = {}
        for at, (question, node) in enumerate(questions):
            address = self._addresses[node] if node else self._address_of(_key(question))
            if address is not None:
                if address.shown not in self._clients:
                    self._clients[address.shown] = self._client(address)
                parts.setdefault(address.shown, []).append(at)
        for shown, places in parts.items():
            try:
                given = _answers(self._clients[shown], [questions[at][0] for at in places])
            except TargetError as error:
                given = [error] * len(places)  # the nodes that hold the queues have been looked at by now
            for at, answer in zip(places, given, strict=True):
                answers[at] = answer
        return answers

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def _answers(client: Client, questions: Sequence[Question]) -> list[Any]:
    """The answers of one server; where it hangs up or may not be connected to, that stands in the place of each. Raises
    `TargetError` where the time that opening may take is over."""
    answers = client.ask_or_why(questions)
    if isinstance(answers, list):
        return answers
    forbidden = answers.kind == "forbidden"
    return [answers if forbidden else TargetError("lost", "the server hangs up on such questions")] * len(questions)


def _key(question: Question) -> str:
    assert question[0] != "SCAN", "a question without a key is put to a node"
    key = question[2] if question[0] in ("MEMORY", "XINFO") else question[1]
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
