"""What happens at a syntax error: it is said in plain words, and reading goes on behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plg.diagnostics import Diagnostic, nearest
from plg.language.expected import CLAUSES, expected, word_for
from plg.language.source import MAX_DEPTH, Lines
from plg.language.strings import STRING
from plg.language.vocabulary import PHASES

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

MAX_SYNTAX_ERRORS = 50
"""After so many syntax errors the rest of a file is not looked at."""
CLAUSE_WORDS = {"over", "every", "for", "in", "from", "seed", "x", "speed", "max_rate", "steps", "each", "of"}
ALL_STATEMENTS = {
    *(
        "_DESCRIPTION",
        "_TAGS",
        "_PARAM",
        "_TARGET",
        "_DATA",
        "_WORKERS",
        "_CONNECTIONS",
        "_PACING",
        "_MAX_LAG",
        "_WATCH",
    ),
    *("_JOB", "_TRAFFIC", "_GUARDRAILS", "_EXPECT"),
}

_SKIP = re.compile(
    rf'(?P<blank>\s+|#[^\n]*)|(?P<text>{STRING}|"(?:[^"\\\n]|\\.)*)|(?P<word>[^\W\d]\w*(?:-\w+)*)'
    r"|(?P<number>[\d.]+[\w%]*)|(?P<other>.)"
)


class Recovery:
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
        missing = self.missing_value(error)
        if missing is not None:
            return missing
        help = self.help_for(found, accepted, error)
        shown = found if len(found) <= 40 else found[:37] + "..."
        return self.fault("syntax", f"unexpected `{shown}`; expected {expected(accepted)}", first, last, help)

    def help_for(self, found: str, accepted: set[str], error: Any) -> str:
        """The likeliest way to mend an unexpected word."""
        keywords = [word_for(name).strip("`") for name in accepted]
        suggestion = nearest(found, [word for word in keywords if word.isidentifier()])
        if suggestion:
            return f"did you mean `{suggestion}`?"
        if found == ":" and "_THEN" in accepted:
            return "phases follow one another with `then`"
        if found == "scenario" and "$END" in accepted:
            return "write one scenario a file"
        if accepted == {"_SCENARIO"}:
            return 'everything stands inside scenario "name" { … }'
        if found == "=" and "_EQUALS" not in accepted:
            return "a setting is written without `=`"
        if f"_{found.upper()}" in ALL_STATEMENTS and "_RBRACE" in accepted:
            return "a `}` is missing before it"
        if accepted >= CLAUSES:
            heads = (node.children[0] if _is(node, "simple") else node for node in reversed(self.stack(error)))
            kind = next((head for head in heads if isinstance(head, str) and head in PHASES), None)
            if kind is not None:
                return f"such as: {PHASES[kind].example}"
        return ""

    @staticmethod
    def stack(error: Any) -> list[Any]:
        """What the parser has read and not yet put together: tokens and trees."""
        return list(error.interactive_parser.parser_state.value_stack)

    def missing_value(self, error: Any) -> Diagnostic | None:
        """`steady over 5s` reads `over` as the name of a param: say that the value before it is missing."""
        stack = self.stack(error)
        word: Any = stack[-1] if stack else None
        titled = len(stack) > 1 and getattr(stack[-2], "type", "") in ("_SCENARIO", "_JOB")
        if isinstance(word, str) and word in CLAUSE_WORDS and getattr(word, "type", "") == "NAME" and not titled:
            place = (word.start_pos, word.end_pos)  # type: ignore[attr-defined]  # a str on the stack is a Token
            return self.fault("syntax", f"a value is missing before `{word}`", *place)
        return None

    def at_end(self, first: int, accepted: set[str]) -> Diagnostic:
        if not self.text.strip() or not _SKIP.sub(lambda m: "" if m["blank"] else m[0], self.text):
            return self.fault("empty-file", "there is no scenario in this file", 0, 0, 'write: scenario "name" { … }')
        opened = self.unclosed()
        if opened is not None:
            line, _ = self.lines.place(opened)
            message = f"the block opened in line {line} is never closed"
            return self.fault("unterminated-block", message, opened, opened + 1, "add the missing `}`")
        return self.fault("syntax", f"the text ends too early; expected {expected(accepted)}", first, first)

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
        depth = 0
        while "ERROR" not in table[state.position]:
            if not state.value_stack:
                return False
            state.state_stack.pop()
            dropped = state.value_stack.pop()
            depth += getattr(dropped, "type", "") in ("_LBRACE", "_LBRACK")
        interactive.feed_token(Token("ERROR", "", position, 1, 1, 1, 1, position))
        accepted = interactive.accepts()
        target = self.resumption(position, accepted, depth)
        counter = interactive.lexer_thread.state.line_ctr
        if target > counter.char_pos:
            counter.feed(self.text[counter.char_pos : target])
        elif target < counter.char_pos:
            counter.char_pos = target
        if target >= len(self.text):
            return self.close(interactive)
        return True

    def resumption(self, position: int, accepted: set[str], depth: int) -> int:
        """The first place after ``position`` where a token that may follow begins: a keyword, a name that opens a
        line, or the brace that closes the block. ``depth`` brackets were opened by what is given up."""
        fresh = False
        for match in _SKIP.finditer(self.text, position):
            if match["blank"] is not None:
                fresh = fresh or "\n" in match[0]
                continue
            if depth == 0:
                if match[0] == "}" and "_RBRACE" in accepted:
                    return match.start()
                if match["word"] and match.start() > position and self.may_follow(match[0], accepted, fresh):
                    return match.start()
            fresh = False
            if match["other"]:
                depth = max(0, depth + (match[0] in "{[") - (match[0] in "}]"))
        return len(self.text)

    @staticmethod
    def may_follow(word: str, accepted: set[str], fresh: bool) -> bool:
        keyword = "_" + word.upper()
        if keyword in accepted and keyword not in CLAUSES:
            return True
        return fresh and bool(accepted & {"NAME", "CALL"}) and not accepted & {"_THEN", "_AND"}

    def close(self, interactive: Any) -> bool:
        """At the end of the text: close the blocks still open, so that what was read is not lost."""
        from lark import Token

        end = len(self.text)
        while "_RBRACE" in interactive.accepts():
            interactive.feed_token(Token("_RBRACE", "}", end, 1, 1, 1, 1, end))
        return "$END" in interactive.accepts()


def _is(node: Any, rule: str) -> bool:
    return not isinstance(node, str) and getattr(node, "data", None) == rule
