"""What people write that the language spells otherwise: named as what it is, and read as it was meant."""

from __future__ import annotations

import re
from typing import Any

from plg.diagnostics import nearest
from plg.language import strings
from plg.language.foreign import foreign_slip, in_phase
from plg.language.resuming import MISSING, token
from plg.language.slip import Slip, last_token, replace_last
from plg.language.vocabulary import GUARDRAILS, JOB, PHASES
from plg.measures import AGGREGATES, MEASURES
from plg.units import plain_digits

CLAUSE_WORDS = {"over", "every", "for", "in", "from", "seed", "x", "speed", "max_rate", "steps", "each", "of"}
_UNIT = r"(?:\s*/\s*[A-Za-zµ]+|\s*%|[A-Za-zµ]+)?"
_THOUSANDS = re.compile(rf"(?:,[0-9]{{3}})+(?:\.[0-9]+)?{_UNIT}(?![\w,])")
_SHORT = re.compile(r"\s*/\s*[a-z]+")
_SCALES = {"k": "_000", "K": "_000", "M": "_000_000"}
_MEASURE = "|".join(sorted(MEASURES, key=len, reverse=True))
_AGGREGATE = rf"p[0-9]+(?:\.[0-9]+)?|{'|'.join(name for name in AGGREGATES if name.isalpha())}|avg|median"
_BEFORE = re.compile(rf"({_AGGREGATE})\s+(?:of\s+)?({_MEASURE})(?![\w(-])")
_BEHIND = re.compile(rf"({_MEASURE})\s*[.\s]\s*({_AGGREGATE})(?![\w(-])")
_KEYWORDS = "over|every|for|in|from|seed|x|speed|max_rate|then|and|during|or|warn"
_WORD = rf"\$?(?!(?:{_KEYWORDS})\b)[^\W\d]\w*(?:-\w+)*"
_OPERAND = rf"(?:{strings.QUANTITY.pattern}|{_WORD}|\([^(){{}}\"\n]*\))"
_SUM = re.compile(rf"(?:\s*[*/+\-]\s*{_OPERAND})+")
_GROUP = re.compile(rf"\([^(){{}}\"\n]*\)(?:\s*[*/+\-]\s*{_OPERAND})*")
_FOREIGN = re.compile(r"-?\d[\d_.]*(?:\s*/\s*[A-Za-zµ]+|\s*%|[A-Za-zµ\d.]*)")
_NAMES = re.compile(rf"(?:(?:{strings.STRING}|{_WORD})\s*:\s*)+(?={'|'.join(PHASES)}|together|repeat|\{{)")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_VALUE = re.compile(rf"{strings.QUANTITY.pattern}|{_WORD}")


def slip_at(text: str, interactive: Any, first: int) -> Slip | None:
    """The slip that a syntax error at ``first`` is due to, if it is one of those that are known."""
    stack = interactive.parser_state.value_stack
    before = last_token(stack[-1]) if stack else None
    if not before or not _adjacent(text, before.end_pos, first):
        return None
    if first >= len(text):
        return in_phase(text, interactive, before, first)
    return (
        _foreign_digits(text, interactive, before, first)
        or foreign_slip(text, interactive, before, first)
        or _misspelt_env(text, interactive, before, first)
        or _missing_value(text, interactive, before, first)
        or _second_name(text, interactive, before, first)
        or _missing_then(text, interactive, before, first)
        or _thousands(text, stack, before, first)
        or _scaled(text, stack, before, first)
        or _aggregate(text, interactive, before, first)
        or _arithmetic(text, interactive, before, first)
    )


def _adjacent(text: str, end: int, first: int) -> bool:
    """Whether only blanks and comments stand between two places."""
    return not re.sub(r"#[^\n]*", "", text[end:first]).strip()


def _foreign_digits(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``٣٣/s``, ``1٣s``: digits of another script, alone or behind those that are read."""
    stack = interactive.parser_state.value_stack
    begun = getattr(before, "type", "") == "QUANTITY" and before.end_pos == first
    match = _FOREIGN.match(text, before.start_pos if begun else first)
    written = plain_digits(match[0]) if match else ""
    if match is None or written == match[0] or match.end() <= first:
        return None
    new = token("QUANTITY", written, *match.span())

    def mend() -> None:
        if begun:
            replace_last(stack, new)
        elif "QUANTITY" in interactive.accepts():
            interactive.feed_token(new)

    message = f"`{match[0]}` has digits that are not read: numbers are written with 0 to 9"
    return Slip(message, f"write {strings.compact(written)}", *match.span(), mend)


def _misspelt_env(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``target evn REDIS_URL``: a word like ``env`` before the name of a variable."""
    state = interactive.parser_state
    stack = state.value_stack
    name = _VARIABLE.match(text, first)
    due = stack[-1] is before and len(stack) > 1 and getattr(stack[-2], "type", "") in ("_TARGET", "_EQUALS")
    if name is None or not due or getattr(before, "type", "") != "NAME":
        return None
    if nearest(before.lower(), ("env", "environment", "getenv", "environ")) is None:
        return None
    place = before.start_pos, before.end_pos

    def mend() -> None:
        state.state_stack.pop()
        stack.pop()
        interactive.feed_token(token("_ENV", "env", *place))
        interactive.feed_token(token("NAME", name[0], *name.span()))

    return Slip(f"`{before}` does not name a variable", "did you mean `env`?", *place, mend, name.end())


def _missing_value(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``steady over 5s`` reads ``over`` as the name of a param: the value before it is missing."""
    state = interactive.parser_state
    stack = state.value_stack
    titled = len(stack) > 1 and getattr(stack[-2], "type", "") in ("_SCENARIO", "_JOB")
    if getattr(before, "type", "") != "NAME" or stack[-1] is not before or titled:
        return None
    place = before.start_pos, before.end_pos
    if before in CLAUSE_WORDS:
        kind = "_TIMES" if before == "x" else f"_{before.upper()}"
    elif any(before in settings and len(stack) > 1 and stack[-2] in settings for settings in (GUARDRAILS, JOB)):
        kind = "NAME"
    else:
        return None

    def mend() -> None:
        replace_last(stack, token("QUANTITY", MISSING, place[0], place[0]))
        interactive.feed_token(token(kind, before, *place))

    if kind not in interactive.accepts():
        return None
    kind_before = next((str(node) for node in stack[-2:-1] if str(node) in PHASES), "")
    help = f"such as: {PHASES[kind_before].example}" if kind_before else ""
    return Slip(f"a value is missing before `{before}`", help, *place, mend, first)


def _missing_then(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """A phase with a name and no ``then`` before it: the name was read as a word of the phase before."""
    state = interactive.parser_state
    if text[first] != ":" or getattr(before, "type", "") != "NAME" or "_THEN" not in interactive.accepts():
        return None
    place = before.start_pos, before.end_pos

    def mend() -> None:
        top = state.value_stack[-1]
        if top is before or getattr(top, "data", "") == "word":
            state.state_stack.pop()
            state.value_stack.pop()
        else:
            top.children.pop()
        interactive.feed_token(token("_THEN", "then", place[0], place[0]))
        interactive.feed_token(token("LABEL", before, *place))

    return Slip(f"`{before}` begins a new phase", "write `then` (or `and`) before it", *place, mend, first)


def _second_name(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``calm: rush: steady 5/s``, ``"calm": "rush": …``: only the first one names the phase."""
    state = interactive.parser_state
    stack = state.value_stack
    read = getattr(before, "type", "") == "NAME" and stack[-1] is before and len(stack) > 1
    named = getattr(stack[-2], "children", [""])[0] if read and getattr(stack[-2], "data", "") == "label" else ""
    if not read and getattr(before, "type", "") == "_COLON" and len(stack) > 1:
        named = stack[-2]
    match = _NAMES.match(text, before.start_pos if read else first)
    if not named or match is None or match.end() <= first:
        return None

    def mend() -> None:
        if read:
            state.state_stack.pop()
            stack.pop()

    written = match[0].rstrip()
    place = match.start(), match.start() + len(written)
    return Slip(f"the phase has a name already: `{named}`", f"leave out `{written}`", *place, mend, match.end())


def _thousands(text: str, stack: list[Any], before: Any, first: int) -> Slip | None:
    match = _THOUSANDS.match(text, first)
    if match is None or first != before.end_pos or not re.fullmatch(r"[0-9]{1,3}", before):
        return None
    start, written = before.start_pos, before + match[0].replace(",", "_")
    new = token("QUANTITY", written, start, match.end())
    message = f"`{text[start : match.end()]}` has commas between its digits"
    return Slip(message, f"write {written}", start, match.end(), lambda: replace_last(stack, new))


def _scaled(text: str, stack: list[Any], before: Any, first: int) -> Slip | None:
    """``5k/s``."""
    match = _SHORT.match(text, first)
    number = re.fullmatch(r"([0-9]+)([kKM])", before)
    if match is None or number is None:
        return None
    start, written = before.start_pos, number[1] + _SCALES[number[2]] + strings.compact(match[0])
    new = token("QUANTITY", written, start, match.end())
    message = f"`{text[start : match.end()]}` is not a rate"
    return Slip(message, f"write {written}", start, match.end(), lambda: replace_last(stack, new))


def _aggregate(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``p99 latency``, ``latency p99``, ``p99 of latency``."""
    state = interactive.parser_state
    top = state.value_stack[-1]
    if getattr(before, "type", "") != "NAME" or not (top is before or list(getattr(top, "children", ())) == [before]):
        return None
    match = _BEFORE.match(text, before.start_pos)
    behind = None if match else _BEHIND.match(text, before.start_pos)
    found = match or behind
    if found is None or found.end() <= first or "OPERATOR" not in interactive.accepts():
        return None
    one, two = (1, 2) if match else (2, 1)
    name, measure = found[one], found[two]

    def mend() -> None:
        state.state_stack.pop()
        state.value_stack.pop()
        for kind, word, (start, end) in (
            ("CALL", name, found.span(one)),
            ("_LPAREN", "(", found.span(two)),
            ("NAME", measure, found.span(two)),
            ("_RPAREN", ")", found.span(two)),
        ):
            interactive.feed_token(token(kind, word, start, end))

    message = f"`{found[0]}` is not how an aggregate is written"
    return Slip(message, f"did you mean {name}({measure})?", found.start(), found.end(), mend)


def _arithmetic(text: str, interactive: Any, before: Any, first: int) -> Slip | None:
    """``5 * base``, ``base + 10/s``, ``(base + 5/s) * 2``: one of the values stands for all of them."""
    state = interactive.parser_state
    stack = state.value_stack
    accepted = interactive.accepts()
    factor = before.type == "_STAR" and len(stack) > 1  # `base * 2` where `base * p95(latency)` was expected
    if factor:
        first, before = before.start_pos, last_token(stack[-2])
    group = _GROUP.match(text, first) if {"QUANTITY", "REF"} <= accepted else None
    match = group or _SUM.match(text, first)
    if match is None or (group is None and getattr(before, "type", "") not in ("QUANTITY", "NAME", "REF")):
        return None
    start = match.start() if group else before.start_pos
    values = list(_VALUE.finditer(text, start, match.end()))
    if not values:
        return None
    telling = (found for found in values if not strings.PLAIN_NUMBER.fullmatch(found[0]))
    chosen = next(telling, values[0])
    kind = "QUANTITY" if chosen[0][0] in "-0123456789" else "REF" if chosen[0].startswith("$") else "NAME"
    new = token(kind, chosen[0], start, match.end())

    def mend() -> None:
        if factor:
            del state.state_stack[-2:], stack[-2:]
        if group or factor:
            interactive.feed_token(new)
        else:
            replace_last(stack, new)

    help = "write the value itself, or give it a param of its own"
    shown = text[start : match.end()]
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return Slip(f"`{shown}` is arithmetic, which is not known", help, start, match.end(), mend)
