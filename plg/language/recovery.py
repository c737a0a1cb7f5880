"""What happens at a syntax error: it is said in plain words, and reading goes on behind it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plg.diagnostics import Diagnostic, nearest
from plg.language import otherwise
from plg.language.resuming import SKIP, STATEMENTS, Resuming, token
from plg.language.source import MAX_DEPTH, MAX_SYNTAX_ERRORS, MORE_ERRORS, Lines
from plg.language.syntax_words import CLAUSES, expected, word_for
from plg.language.vocabulary import PHASES

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput


_AT = {
    "/": "a comment begins with #",
    "seed": "it stands with the traffic: traffic seed 7 { … }",
    "include": 'a scenario is one file; `data NAME "FILE.csv"` reads a table',
}
"""Words that nothing resembles, and what to write."""


class Recovery:
    """Lark's error callback: words the error, then moves parser and lexer to where reading can go on."""

    def __init__(self, text: str, start: str, file: str) -> None:
        self.text, self.start, self.file = text, start, file
        self.lines = Lines(text)
        self.faults: list[Diagnostic] = []
        self.last_position = -1
        self.resuming = Resuming(text)

    def fault(self, code: str, message: str, first: int, last: int, help: str = "") -> Diagnostic:
        return Diagnostic(code, message, self.file, self.lines.span((first, max(last, first))), help)

    def depth_fault(self) -> Diagnostic | None:
        """Nesting beyond `MAX_DEPTH`, found before parsing so that no recursion is ever that deep."""
        where = self.resuming.layout.too_deep
        return where and self.fault("too-deep", f"blocks nest more than {MAX_DEPTH} deep", *where)

    def __call__(self, error: UnexpectedInput) -> bool:
        first, last = self.where(error)
        if first <= self.last_position and self.faults:
            return False
        self.last_position = first
        if len(self.faults) >= MAX_SYNTAX_ERRORS:
            self.faults[-1] = replace(self.faults[-1], message=self.faults[-1].message + MORE_ERRORS)
            return False
        interactive: Any = error.interactive_parser
        from plg.language.slips import slip_at  # only now that there is one

        slip = slip_at(self.text, interactive, first)
        if slip is not None:
            self.faults.append(self.fault("syntax", slip.message, slip.first, slip.last, slip.help))
        else:
            self.faults.append(self.describe(error, first, last, interactive.accepts()))
        if self.start != "file":
            return False
        if self.faults[-1].code == "unterminated-string" and "STRING" in interactive.accepts():
            # What closes blocks at the end of the line is not meant to be a part of the string.
            line = self.text[first:].partition("\n")[0]
            end = first + len(line.rstrip(" \t})]"))
            interactive.feed_token(token("STRING", '"x"', first, end))
            self.resuming.lose(first, interactive.accepts())
            self.resuming.move(interactive, end)
            return True
        if slip is not None:
            slip.mend()
            self.resuming.move(interactive, slip.last if slip.then is None else slip.then)
            return True
        return self.resuming.mended(interactive, first, last) or self.resuming.given_up(interactive, first)

    def where(self, error: UnexpectedInput) -> tuple[int, int]:
        """The offending stretch; at the end of the text, the place after its last word."""
        token: Any = getattr(error, "token", None)
        if token is not None and token.type != "$END":
            return token.start_pos, token.end_pos
        if token is not None:
            end = len(self.text.rstrip())
            return end, end
        position = error.pos_in_stream or 0
        match = SKIP.match(self.text, position)
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
        help = self.help_for(found, first, accepted, error)
        shown = found if len(found) <= 40 else found[:37] + "..."
        return self.fault("syntax", f"unexpected `{shown}`; expected {expected(accepted)}", first, last, help)

    def help_for(self, found: str, first: int, accepted: set[str], error: Any) -> str:
        """The likeliest way to mend an unexpected word."""
        keywords = [word_for(name).strip("`") for name in accepted]
        suggestion = otherwise.STATEMENTS.get(found) or nearest(
            found, [word for word in keywords if word.isidentifier()]
        )
        if suggestion in keywords:
            return f"did you mean `{suggestion}`?"
        if (help := _AT.get(found, "")) and (found != "seed" or "_TRAFFIC" in accepted):
            return help
        if digits := re.fullmatch(r"(\d+)(?:th|st|nd|rd)", found):
            return f"did you mean `p{digits[1]}`?"
        if accepted == {"_EACH"}:
            return "such as: workers 4 each 50ms"
        if accepted == {"_LBRACE"} and re.match(r"\w", found):
            return "a name with a blank in it stands in double quotes"
        if {"_AFTER", "_OF"} <= accepted:
            return "`within 90s after PHASE` counts from its end, `within 45s of PHASE` from its start"
        if getattr(next(iter(self.stack(error)[-1:]), None), "type", "") == "DRAINED":
            return "write for example `drained within 90s after PHASE`"
        if "RETURNS" in accepted and found in ("within", "return", "after"):
            example = "workers >= 8 within 45s of PHASE"
            return "did you mean `returns to`?" if found == "return" else f"the bound stands before the time: {example}"
        if "OPERATOR" in accepted:
            words = re.compile(r"(?:is\s+|must\s+be\s+|should\s+be\s+)?([a-z]+)").match(self.text, first)
            meant = otherwise.OPERATORS.get(words[1]) if words else None
            return f"did you mean `{meant}`?" if meant else "a comparison is one of <, <=, >, >=, ==, !="
        if "CALL" in accepted and found[0].isdigit():
            return "the measure stands first, as in p95(latency) < 5ms"
        if found in ("<", "<=", ">", ">=", "==", "!=") and "_DURING" in accepted:
            return "a line has one comparison: write a line for each"
        if found == ";":
            return "nothing stands between statements: leave it out"
        if found == ":" and "_THEN" in accepted:
            return "phases follow one another with `then`"
        if found == "scenario" and "$END" in accepted:
            return "write one scenario a file"
        if accepted == {"_SCENARIO"}:
            return 'everything stands inside scenario "name" { … }'
        if found == "=" and self.resuming.layout.statement(first) == "expect":
            return "a comparison is one of <, <=, >, >=, ==, !=, without a blank inside"
        if found in ("=", ":") and f"_{'EQUALS' if found == '=' else 'COLON'}" not in accepted:
            return f"a setting is written without `{found}`"
        if found in STATEMENTS and "_RBRACE" in accepted:
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

    def at_end(self, first: int, accepted: set[str]) -> Diagnostic:
        if not self.text.strip() or not SKIP.sub(lambda m: "" if m["blank"] else m[0], self.text):
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
        for match in SKIP.finditer(self.text):
            for _ in range(self.resuming.closed.get(match.start(), 0)):
                stack.pop()
            if match["other"] is not None and match[0] in "{[":
                stack.append(match.start())
            elif match["other"] is not None and match[0] in "}]" and stack:
                stack.pop()
        return stack[-1] if stack else None


def _is(node: Any, rule: str) -> bool:
    return not isinstance(node, str) and getattr(node, "data", None) == rule
