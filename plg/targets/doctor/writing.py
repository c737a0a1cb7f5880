"""Whether plg may write to the queues, found out without writing."""

from __future__ import annotations

from collections.abc import Sequence

from plg.queues.base import Job, Question, Queue
from plg.queues.use import QueueInUse, queues_of
from plg.targets.doctor.diagnosis import ServerFacts, Writing
from plg.targets.doctor.reader import Reader, words_of

_MOST = 20
"""Queues that are asked about."""


def may_write(reader: Reader, facts: ServerFacts, queues: Sequence[QueueInUse]) -> Writing:
    """By ACL DRYRUN, which tells what a command would meet and does not give it; a plain list where no queue is known.

    It is a command for administrators and of Redis 7: where this user may not ask, whether it may write is unknown.
    """
    if facts.role == "sentinel":
        return Writing(False, "a Sentinel keeps no queues")
    if facts.role == "replica":
        return Writing(False, "a replica takes no jobs")
    [who] = reader.ask_seed(("ACL", "WHOAMI"))
    if not isinstance(who, bytes):
        return Writing(None, f"the server does not tell as whom plg is let in: {_said(who)}")
    user = who.decode("utf-8", "replace")
    asked = list(queues[:_MOST]) or list(queues_of([Job("work", Queue("list", "plg:jobs"))]))
    words = [(queue, command) for queue in asked for command in queue.rehearsal()]
    answers = reader.ask([(_dry(user, command), reader.home(queue.key)) for queue, command in words])
    for (queue, command), answer in zip(words, answers, strict=True):
        if isinstance(answer, Exception):
            return Writing(None, f"as user {user}, who may not ask for more (ACL DRYRUN): {_said(answer)}")
        if answer != b"OK":
            return Writing(False, f"user {user} may not: {_said(answer)} ({_text(command[0])} to {queue.key!r})")
    return Writing(True, f"as user {user}")


def _dry(user: str, command: Question) -> Question:
    return ("ACL", "DRYRUN", user, *command)


def _said(answer: object) -> str:
    return words_of(answer) if isinstance(answer, Exception) else _text(answer)


def _text(word: object) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
