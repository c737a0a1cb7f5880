"""Slips of people who come from another language or tool: quotes, URLs, names, arrows and comparisons of theirs."""

from __future__ import annotations

import re
from typing import Any

from plg.language import otherwise, strings
from plg.language.resuming import MISSING, STATEMENTS, token
from plg.language.slip import Slip, last_token, replace_last
from plg.language.vocabulary import PHASES
from plg.redaction import conceal

_QUOTES = ("''", "``", "\u201c\u201d", "\u201e\u201c", "\u201e\u201d", "\u2018\u2019", "\u00ab\u00bb")
_QUOTED = re.compile("|".join(f'{pair[0]}([^{pair[1]}"\n]*){pair[1]}' for pair in _QUOTES))
_URL = re.compile(r"(?:rediss?|valkeys?|unix|https?|localhost):[^\s\"{}]*")
_RATE = re.compile(r"\s*/\s*(s|sec|second|m|min|minute|h|hour)\b")
_COUNTED = {"job", "jobs", "req", "reqs", "request", "requests", "message", "messages", "msg", "msgs", "task", "tasks"}
_ARROW = re.compile("(?:-+|=>|>|[\u2013\u2014\u2026]|[.]{3})(?=[ \t]*[0-9$])")
"""Also dashes and an ellipsis."""
_SIGNS = re.compile(r"[<>=]+")
_NEXT = re.compile(r"(?:,|&&|&|;)?\s*(?:and\s+)?([^\W\d][\w.-]*)\s*([<>=!(]?)")
_RAMPS = ("ramp", "burst", "staircase")


def foreign_slip(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """The slip of this kind at ``first``, ``before`` which a token was read."""
    return (
        _quotes(text, interactive, first)
        or _url(text, interactive, before, first)
        or _statement_for_value(text, interactive, before, first)
        or _no_colon(text, interactive, before, first)
        or _from(text, interactive, before, first)
        or _arrow(text, interactive, first)
        or _rate_apart(text, interactive, before, first)
        or _operator(text, interactive, before, first)
        or in_phase(text, interactive, before, first)
        or _joined(text, interactive, before, first)
    )


def _pop(interactive: Any, number: int = 1) -> None:
    state = interactive.parser_state
    del state.state_stack[-number:], state.value_stack[-number:]


def _kind(node: Any) -> str:
    return str(getattr(node, "type", ""))


def _quotes(text: str, interactive: Any, first: int) -> Slip | None:
    match = _QUOTED.match(text, first)
    if match is None or "STRING" not in interactive.accepts():
        return None
    inner = next(group for group in match.groups() if group is not None).replace("\\", "\\\\")
    new = token("STRING", f'"{inner}"', *match.span())
    help = f'write "{conceal(inner)}"' if len(inner) <= 40 else ""
    return Slip("a text stands in double quotes", help, *match.span(), lambda: interactive.feed_token(new))


def _url(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``target redis://host:6379``."""
    match = _URL.match(text, before.start_pos)
    if match is None or _kind(before) not in ("NAME", "LABEL") or match.end() <= first:
        return None
    stack = interactive.parser_state.value_stack
    if stack[-1] is not before:
        return None
    new = token("STRING", f'"{match[0]}"', *match.span())
    help = f'write "{conceal(match[0])}"' if len(match[0]) <= 80 else ""
    return Slip("a URL stands in double quotes", help, *match.span(), lambda: replace_last(stack, new))


def _statement_for_value(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``param p =`` with nothing behind it reads the word of the next statement as its value."""
    stack = interactive.parser_state.value_stack
    if _kind(before) != "NAME" or before not in STATEMENTS or stack[-1] is not before or len(stack) < 2:
        return None
    kind, place = f"_{before.upper()}", (before.start_pos, before.end_pos)
    if kind not in interactive.accepts() or "\n" not in text[: place[0]].rpartition(stack[-2])[2]:
        return None

    def mend() -> None:
        replace_last(stack, token("QUANTITY", MISSING, place[0], place[0]))
        interactive.feed_token(token(kind, before, *place))

    return Slip(f"a value is missing before `{before}`", "", *place, mend, first)


def _no_colon(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``calm steady 10/s``: the name of the phase was read as its kind."""
    stack = interactive.parser_state.value_stack
    kinds = {*PHASES, "pause"}
    if len(stack) < 2 or stack[-1] is not before or _kind(before) != "NAME" or before not in kinds:
        return None
    name = stack[-2]
    if _kind(name) != "NAME" or name in kinds or name in otherwise.PHASES:
        return None

    def mend() -> None:
        _pop(interactive, 2)
        interactive.feed_token(token("LABEL", name, name.start_pos, name.end_pos))
        interactive.feed_token(token("_COLON", ":", name.end_pos, name.end_pos))
        interactive.feed_token(before)

    message = f"`{name}` is no kind of phase; the name of a phase has a colon behind it"
    return Slip(message, f"write {name}: {before} …", name.start_pos, name.end_pos, mend, first)


def _from(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``ramp from 10/s``."""
    stack = interactive.parser_state.value_stack
    if _kind(before) != "NAME" or before != "from" or len(stack) < 2 or stack[-2] not in PHASES:
        return None
    help = f"such as: {PHASES[stack[-2]].example}"
    place = before.start_pos, before.end_pos
    return Slip(f"{stack[-2]} takes no `from`", help, *place, lambda: _pop(interactive), first)


def _arrow(text: str, interactive: Any, first: int) -> Slip | None:
    """``ramp 10/s - 50/s``."""
    match = _ARROW.match(text, first)
    if match is None:
        match = _ARROW.match(text, first - 1) if first and text[first - 1] == "-" else None
    stack = interactive.parser_state.value_stack
    begun = next((str(node) for node in reversed(stack[-2:]) if _kind(node) == "NAME"), "")
    if match is None or "_ARROW" not in interactive.accepts() or begun not in _RAMPS:
        return None
    new = token("_ARROW", "->", *match.span())
    return Slip(f"`{match[0]}` is no arrow", "write `->`", *match.span(), lambda: interactive.feed_token(new))


def _rate_apart(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``100 jobs/s``: the unit is a word of its own and was read as one of the language."""
    stack = interactive.parser_state.value_stack
    match = _RATE.match(text, first) or _RATE.match(text, before.end_pos)
    if match is None or _kind(before) != "NAME" or before not in _COUNTED or len(stack) < 2:
        return None
    number = last_token(stack[-2])
    if stack[-1] is not before or _kind(number) != "QUANTITY" or not strings.PLAIN_NUMBER.fullmatch(number):
        return None
    written = f"{number}/{match[1][0]}"
    new = token("QUANTITY", written, number.start_pos, match.end())

    def mend() -> None:
        _pop(interactive)
        replace_last(stack, new)

    shown = " ".join(text[number.start_pos : match.end()].split())
    return Slip(f"`{shown}` is not how a rate is written", f"write {written}", number.start_pos, match.end(), mend)


def _operator(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``=<``, ``=>``, ``<>`` and ``===``."""
    stack = interactive.parser_state.value_stack
    if _kind(before) == "OPERATOR" and stack[-1] is before:
        match = _SIGNS.match(text, before.start_pos)
        meant = otherwise.OPERATORS.get(match[0], "") if match else ""
        if match is None or not meant:
            return None
        place = match.span()
        new = token("OPERATOR", meant, *place)
        return Slip(
            f"`{match[0]}` does not compare", f"did you mean `{meant}`?", *place, lambda: replace_last(stack, new)
        )
    return None


def in_phase(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``p95(latency) < 5ms in calm``."""
    stack = interactive.parser_state.value_stack
    if interactive.accepts() != {"_OF"} or _kind(before) != "NAME" or stack[-1] is not before:
        return None
    start = text.rfind("in", 0, before.start_pos)
    place = start, before.end_pos

    def mend() -> None:
        _pop(interactive, 2)
        interactive.feed_token(token("_DURING", "during", start, start + 2))
        interactive.feed_token(before)

    help = f"did you mean `during {before}`? a window is written `in every 1s` or `in 99% of 1s`"
    return Slip(f"`in {before}` is no window", help, *place, mend, first)


def _joined(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``… < 5ms and errors == 0``, ``… during calm and rush``."""
    accepted = interactive.accepts()
    word = _kind(before) == "NAME" and before == "and" and "OPERATOR" in accepted
    start = before.start_pos if word else first
    if not word and (text[first] not in ",&" or not {"_DURING", "_OR"} & accepted):
        return None
    match = _NEXT.match(text, start)
    if match is None:
        return None
    drop = (lambda: _pop(interactive)) if word else (lambda: None)
    if match[2]:
        sign = text[start : match.start(1)].strip()
        return Slip(f"`{sign}` joins no lines", "each line is true or not for itself: leave it out", start,
                    start + len(sign), drop, match.start(1))  # fmt: skip
    return Slip("a line speaks of one phase", "write a line for each phase", start, match.end(1), drop, match.end(1))
