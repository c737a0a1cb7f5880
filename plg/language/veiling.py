"""Faults of a scenario without the values that they quote: those that came from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from plg.diagnostics import Diagnostic
from plg.language.kinds import show
from plg.language.params import Resolved, is_figure
from plg.redaction import HIDDEN, SHORT, hide

_PIECE = 3
"""So many characters in a row of a secret are taken for a part of it."""
_FIELD = re.compile(r"`\w+`")


class Veil:
    """The secrets of one scenario and the places that they were put in.

    A figure that stands in the traffic, the guardrails or the expectations alone is kept and shown there, so it is
    hidden only where it does not fit.
    """

    def __init__(self, resolved: Resolved) -> None:
        self._variables, self._places = resolved.secrets, resolved.tainted
        self._values: Mapping[str, Any] = resolved.values
        values = {name: resolved.values[name] for name in resolved.secrets}
        kept = {name for name, value in values.items() if is_figure(value) and name not in resolved.withheld}
        self.texts = tuple(
            dict.fromkeys(str(value) for name, value in values.items() if name not in kept and value != HIDDEN)
        )
        """The values that are hidden wherever they are met."""

    def fault(self, fault: Diagnostic) -> Diagnostic:
        """``fault`` without a secret in it, and without a part of the one that it is about."""
        name = self._places.get(fault.path)
        if name is None:
            texts = [text for text in self.texts if len(text) >= SHORT]
            return replace(fault, message=hide(fault.message, texts), help=hide(fault.help, texts))
        value = str(self._values[name])
        message = hide(fault.message.replace(show(self._values[name]), HIDDEN), [value])
        help = hide(fault.help, [value])
        if _has_piece(message.replace(repr(name), ""), value):
            field = _FIELD.search(fault.message)
            message = f"{field[0] if field else 'this'} cannot be {HIDDEN} (the value of the param {name!r})"
        message = message.removesuffix(")") + f", from {self._variables[name]})" if message.endswith(")") else message
        return replace(fault, message=message, help="" if _has_piece(help, value) else help)


def _has_piece(text: str, secret: str) -> bool:
    """Whether a few characters in a row of the secret stand in the text."""
    return any(secret[at : at + _PIECE] in text for at in range(len(secret) - _PIECE + 1))
