"""From DSL text to Lark's tree, with every syntax error said in plain words and parsing resumed after it."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from plg.diagnostics import Diagnostic, nearest
from plg.language.source import MAX_DEPTH, Lines
from plg.language.strings import STRING
from plg.resources import read_text

if TYPE_CHECKING:
    from lark import Lark, Token, Tree
    from lark.exceptions import UnexpectedInput

MAX_SYNTAX_ERRORS = 50
"""After so many syntax errors the rest of a file is not looked at."""

_SKIP = re.compile(
    rf'(?P<blank>\s+|#[^\n]*)|(?P<text>{STRING}|"(?:[^"\\\n]|\\.)*)|(?P<word>[^\W\d]\w*(?:-\w+)*)'
    r"|(?P<number>[\d.]+[\w%]*)|(?P<other>.)"
)
_PLAIN = {
    "QUANTITY": "a number",
    "STRING": "a string in double quotes",
    "NAME": "a name",
    "REF": "",
    "LABEL": "",
    "CALL": "",
    "ERROR": "",
    "OPERATOR": "a comparison (<, <=, >, >=, ==, !=)",
    "STOP": "`or stop`",
    "WARN": "`warn`",
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
_STATEMENTS = {"_PARAM", "_TARGET", "_JOB", "_TRAFFIC", "_GUARDRAILS", "_EXPECT"}
_CLAUSES = {"_OVER", "_EVERY", "_FROM", "_SEED", "_ARROW"}


@functools.cache
def parser() -> Lark:
    """The parser of the language, made once a process. Its start rules are ``file`` and ``expectation``."""
    from lark import Lark

    grammar = read_text("grammar", "scenario.lark")
    return Lark(
        grammar, parser="lalr", start=["file", "expectation"], propagate_positions=True, maybe_placeholders=False
    )


def parse_tree(text: str, start: str = "file", file: str = "<text>") -> tuple[Tree[Token] | None, list[Diagnostic]]:
    """Parse ``text``; the tree (None where nothing could be saved) and a diagnostic for each syntax error.

    After an error the parser goes on at the next statement, phase, expectation or closing brace, so a tree that comes
    with errors has ``broken`` nodes in the places that could not be read.
    """
    from lark.exceptions import UnexpectedInput

    recovery = _Recovery(text, start, file)
    too_deep = recovery.depth_fault()
    if too_deep is not None:
        return None, [too_deep]
    try:
        return parser().parse(text, start=start, on_error=recovery), recovery.faults
    except UnexpectedInput:
        return None, recovery.faults


class _Recovery:
    """Lark's error callback: words the error, then moves parser and lexer to where reading can go on."""

    def __init__(self, text: str, start: str, file: str) -> None:
        self.text, self.start, self.file = text, start, file
        self.lines = Lines(text)
        self.faults: list[Diagnostic] = []
        self.last_position = -1

    def fault(self, code: str, message: str, first: int, last: int, help: str = "") -> Diagnostic:
        return Diagnostic(code, message, self.file, self.lines.span((first, max(last, first))), help)

    def depth_fault(self) -> Diagnostic | None:
        """Nesting beyond `MAX_DEPTH`, found before parsing so that no recursion is ever that deep."""
        depth = 0
        for match in _SKIP.finditer(self.text):
            if match["other"] is not None:
                depth += (match[0] in "{[") - (match[0] in "}]")
                if depth > MAX_DEPTH:
                    message = f"blocks nest more than {MAX_DEPTH} deep"
                    return self.fault("too-deep", message, match.start(), match.end())
        return None

    def __call__(self, error: UnexpectedInput) -> bool:
        first, last = self.where(error)
        if first <= self.last_position and self.faults:
            return False
        self.last_position = first
        interactive: Any = error.interactive_parser
        accepted = interactive.accepts()
        self.faults.append(self.describe(error, first, last, accepted))
        if self.start != "file" or len(self.faults) >= MAX_SYNTAX_ERRORS:
            return False
        return self.resume(interactive, first)

    def where(self, error: UnexpectedInput) -> tuple[int, int]:
        """The offending stretch; at the end of the text, the place after its last word."""
        token: Any = getattr(error, "token", None)
        if token is not None and token.type != "$END":
            return token.start_pos, token.end_pos
        if token is not None:
            end = len(self.text.rstrip())
            return end, end
        position = error.pos_in_stream or 0
        match = _SKIP.match(self.text, position)
        return position, match.end() if match else position + 1

    # What to say --------------------

    def describe(self, error: UnexpectedInput, first: int, last: int, accepted: set[str]) -> Diagnostic:
        found = self.text[first:last]
        token: Any = getattr(error, "token", None)
        if token is not None and token.type == "$END":
            return self.at_end(first, accepted)
        if found.startswith('"') and (len(found) == 1 or not found.endswith('"')):
            help = 'close it with ", on the same line; \\n stands for a new line'
            return self.fault("unterminated-string", "this string is never closed", first, last, help)
        words = [_word(name) for name in accepted]
        help = ""
        known = [word.strip("`") for word in words if word.startswith("`")]
        suggestion = nearest(found, [word for word in known if word.isidentifier()])
        if suggestion:
            help = f"did you mean `{suggestion}`?"
        elif found == ":" and "_THEN" in accepted:
            help = "phases follow one another with `then`"
        elif "_EQUALS" not in accepted and found == "=":
            help = "a setting is written without `=`"
        shown = found if len(found) <= 40 else found[:37] + "..."
        return self.fault("syntax", f"unexpected `{shown}`; expected {_list(accepted)}", first, last, help)

    def at_end(self, first: int, accepted: set[str]) -> Diagnostic:
        if not self.text.strip() or not _SKIP.sub(lambda m: "" if m["blank"] else m[0], self.text):
            return self.fault("empty-file", "there is no scenario in this file", 0, 0, 'write: scenario "name" { … }')
        opened = self.unclosed()
        if opened is not None:
            line, _ = self.lines.place(opened)
            message = f"the block opened in line {line} is never closed"
            return self.fault("unterminated-block", message, opened, opened + 1, "add the missing `}`")
        return self.fault("syntax", f"the text ends too early; expected {_list(accepted)}", first, first)

    def unclosed(self) -> int | None:
        """Offset of the innermost bracket still open at the end."""
        stack: list[int] = []
        for match in _SKIP.finditer(self.text):
            if match["other"] is not None and match[0] in "{[":
                stack.append(match.start())
            elif match["other"] is not None and match[0] in "}]" and stack:
                stack.pop()
        return stack[-1] if stack else None

    # Where to go on --------------------

    def resume(self, interactive: Any, position: int) -> bool:
        """Put ERROR where the broken statement stood and skip the text up to what may follow it."""
        from lark import Token

        state, table = interactive.parser_state, interactive.parser_state.parse_conf.parse_table.states
        while "ERROR" not in table[state.position]:
            if not state.value_stack:
                return False
            state.state_stack.pop()
            state.value_stack.pop()
        interactive.feed_token(Token("ERROR", "", position, 1, 1, 1, 1, position))
        accepted = interactive.accepts()
        target = self.resumption(position, accepted)
        counter = interactive.lexer_thread.state.line_ctr
        if target > counter.char_pos:
            counter.feed(self.text[counter.char_pos : target])
        elif target < counter.char_pos:
            counter.char_pos = target
        if target >= len(self.text):
            return self.close(interactive)
        return True

    def resumption(self, position: int, accepted: set[str]) -> int:
        """The first place after ``position`` where a token that may follow begins: a keyword, a name that opens a
        line, or the brace that closes the block."""
        depth, fresh = 0, False
        for match in _SKIP.finditer(self.text, position):
            if match["blank"] is not None:
                fresh = fresh or "\n" in match[0]
                continue
            if (depth == 0 and match.start() > position) or match[0] == "}":
                if match[0] == "}" and depth == 0 and "_RBRACE" in accepted:
                    return match.start()
                if match["word"] and self.may_follow(match[0], accepted, fresh):
                    return match.start()
            fresh = False
            if match[0] == "{":
                depth += 1
            elif match[0] == "}":
                depth = max(0, depth - 1)
        return len(self.text)

    @staticmethod
    def may_follow(word: str, accepted: set[str], fresh: bool) -> bool:
        keyword = "_" + word.upper()
        if keyword in accepted and keyword not in _CLAUSES:
            return True
        return fresh and bool(accepted & {"NAME", "CALL"}) and not accepted & {"_THEN", "_AND"}

    @staticmethod
    def close(interactive: Any) -> bool:
        """At the end of the text: close the blocks still open, so that what was read is not lost."""
        from lark import Token

        while "_RBRACE" in interactive.accepts():
            interactive.feed_token(Token("_RBRACE", "}"))
        return "$END" in interactive.accepts()


def _word(terminal: str) -> str:
    """A terminal as a person would write it; empty for one that is not worth naming."""
    if terminal in _PLAIN:
        return _PLAIN[terminal]
    return f"`{terminal.strip('_').lower()}`"


def _list(accepted: set[str]) -> str:
    """The accepted terminals in plain words, the few that say most."""
    if accepted >= _STATEMENTS:
        return "a statement (`param`, `target`, `job`, `traffic`, `guardrails`, `expect`, …) or `}`"
    if {"_REPEAT", "_TOGETHER"} <= accepted:
        return "a phase, such as `ramp 10/s -> 200/s over 4s`"
    if accepted >= {"QUANTITY", "NAME", "REF"} and not accepted & {"_RBRACE", "_THEN"}:
        tail = {"_LBRACE": "an object `{ … }`", "_LBRACK": "a list `[ … ]`", "_ENV": "`env NAME`"}
        extra = [words for name, words in tail.items() if name in accepted]
        return _or(["a value", *extra])
    if accepted >= _CLAUSES:
        words = ["`over`, `every` or another clause of the phase"]
        words += [f"`{name.strip('_').lower()}`" for name in ("_THEN", "_AND") if name in accepted]
        return _or([*words, "`}`"])
    words = sorted({_word(name) for name in accepted} - {""}, key=lambda word: (word in ("`}`",), word))
    return _or(words)


def _or(words: list[str]) -> str:
    if not words:
        return "nothing more"
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]
