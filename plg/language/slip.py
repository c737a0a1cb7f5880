"""One slip at a place of a text: what to say of it, and how parser and values are put right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plg.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Slip:
    """What to say of a stretch of text, and how parser and values are put right.

    Reading goes on at ``then``, which is ``last`` unless given.
    """

    message: str
    help: str
    first: int
    last: int
    mend: Callable[[], object]
    then: int | None = None


def last_token(node: Any) -> Any:
    """The last token in a node of the stack, where it has one with a place."""
    while not isinstance(node, str):
        if not getattr(node, "children", None):
            return None
        node = node.children[-1]
    return node if getattr(node, "end_pos", None) is not None else None


def replace_last(stack: list[Any], new: Any) -> None:
    """Put ``new`` in the place of the last token read."""
    if isinstance(stack[-1], str):
        stack[-1] = new
        return
    node = stack[-1]
    while not isinstance(node.children[-1], str):
        node = node.children[-1]
    node.children[-1] = new
