"""What may stand at a place of the text, in plain words."""

from __future__ import annotations

_PLAIN = {
    "QUANTITY": "a number",
    "STRING": "a string in double quotes",
    "NAME": "a name",
    "REF": "",
    "PATH": "",
    "LABEL": "",
    "CALL": "",
    "ERROR": "",
    "OPERATOR": "a comparison (<, <=, >, >=, ==, !=)",
    "STOP": "`stop`",
    "WARN": "`warn`",
    "RETURNS": "`returns to`",
    "DRAINED": "`drained`",
    "_ARROW": "`->`",
    "_PLUS_MINUS": "`+-`",
    "_DOTS": "`..`",
    "_LBRACE": "`{`",
    "_RBRACE": "`}`",
    "_LBRACK": "`[`",
    "_RBRACK": "`]`",
    "_LPAREN": "`(`",
    "_RPAREN": "`)`",
    "_COMMA": "`,`",
    "_COLON": "`:`",
    "_EQUALS": "`=`",
    "_STAR": "`*`",
    "_TIMES": "`x`",
    "$END": "the end of the file",
}
STATEMENTS = {"_PARAM", "_TARGET", "_JOB", "_TRAFFIC", "_GUARDRAILS", "_EXPECT"}
CLAUSES = {"_OVER", "_EVERY", "_FROM", "_SEED", "_ARROW"}


def word_for(terminal: str) -> str:
    """A terminal as a person would write it; empty for one that is not worth naming."""
    if terminal in _PLAIN:
        return _PLAIN[terminal]
    return f"`{terminal.strip('_').lower()}`"


def expected(accepted: set[str]) -> str:
    """The accepted terminals in plain words, the few that say most."""
    if accepted >= STATEMENTS:
        return "a statement (`param`, `target`, `job`, `traffic`, `guardrails`, `expect`, …) or `}`"
    if {"_REPEAT", "_TOGETHER"} <= accepted:
        return "a phase, such as `ramp 10/s -> 200/s over 4s`"
    if accepted >= {"QUANTITY", "NAME", "REF"} and not accepted & {"_RBRACE", "_THEN"}:
        tail = {"_LBRACE": "an object `{ … }`", "_LBRACK": "a list `[ … ]`", "_ENV": "`env NAME`"}
        extra = [words for name, words in tail.items() if name in accepted]
        return _or(["a value", *extra])
    if accepted >= CLAUSES:
        words = ["`over`, `every` or another clause of the phase"]
        words += [f"`{name.strip('_').lower()}`" for name in ("_THEN", "_AND") if name in accepted]
        return _or([*words, "`}`"])
    words = sorted({word_for(name) for name in accepted} - {""}, key=lambda word: (word in ("`}`",), word))
    return _or(words)


def _or(words: list[str]) -> str:
    if not words:
        return "nothing more"
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
