"""Where reading goes on behind a syntax error: as near as can be, so that as little as can be is lost."""

from __future__ import annotations

import copy
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from plg.diagnostics import nearest
from plg.language import otherwise
from plg.language.source import MAX_DEPTH
from plg.language.strings import STRING
from plg.language.syntax_words import CLAUSES
from plg.language.vocabulary import GUARDRAILS, JOB
from plg.measures import MEASURES

AHEAD = 3
"""Where so many tokens fit after a mend, or those to the end of the block, it is taken for the right one."""
LEFT_OUT = 3
"""The most tokens that are left out in one place."""
MISSING = ""
"""The text of a value that is not there."""
INSERTED = ("_COMMA", "_EQUALS", "_COLON")
STATEMENTS = {
    *("description", "tags", "param", "target", "data", "workers", "connections", "pacing", "max_lag", "watch"),
    *("job", "traffic", "guardrails", "expect"),
}

SKIP = re.compile(
    rf'(?P<blank>\s+|#[^\n]*)|(?P<text>{STRING}|"(?:[^"\\\n]++|\\.)*+)|(?P<word>[^\W\d]\w*(?:-\w+)*)'
    r"|(?P<number>[\d.]+[\w%]*)|(?P<other>.)"
)


def token(kind: str, text: str, start: int, end: int) -> Any:
    """A token of Lark's at a place of the text; of lines and columns only offsets are ever asked for."""
    from lark import Token

    return Token(kind, text, start, 1, 1, 1, 1, end)


class Layout:
    """The statement that each place of a text belongs to, and whether it nests too deep.

    ``closed`` says before which offsets a reader has closed blocks, and how many.
    """

    def __init__(self, text: str, closed: Mapping[int, int] | None = None) -> None:
        self.too_deep: tuple[int, int] | None = None
        self._starts: list[int] = [0]
        self._words: list[str] = ["scenario"]
        depth = 0
        for match in SKIP.finditer(text):
            depth -= closed.get(match.start(), 0) if closed else 0
            if match["other"] is not None:
                depth += (match[0] in "{[") - (match[0] in "}]")
                if depth > MAX_DEPTH:
                    self.too_deep = match.span()
                    return
            elif depth == 1 and match["word"] in STATEMENTS:
                self._starts.append(match.start())
                self._words.append(match[0])

    def statement(self, offset: int) -> str:
        """The word of the statement around ``offset``; ``scenario`` before the first."""
        return self._words[bisect_right(self._starts, offset) - 1]


class Resuming:
    """Moves Lark's parser and lexer to where reading can go on. ``lost`` names the statements that are not whole,
    ``closed`` how many blocks were closed before a place of the text."""

    def __init__(self, text: str) -> None:
        self.text, self.layout = text, Layout(text)
        self.lost: set[str] = set()
        self.closed: dict[int, int] = {}

    def mended(self, interactive: Any, first: int, last: int) -> bool:
        """Put in a sign that is missing at ``first``, or leave out the few tokens there, where what follows fits."""
        accepted = interactive.accepts()
        for kind in INSERTED:
            if kind in accepted and self.fits(interactive, first, [kind]):
                interactive.feed_token(token(kind, "", first, first))
                self.move(interactive, first)
                return True
        if {"QUANTITY", "REF"} <= accepted and self.fits(interactive, first, ["QUANTITY"]):
            interactive.feed_token(token("QUANTITY", MISSING, first, first))
            self.move(interactive, first)
            return True
        if self.closes(interactive, first):
            return True
        if self.text[first:last] in (";", ","):
            self.move(interactive, last)
            return True
        end = last
        for number in range(1 if self.layout.statement(first) == "expect" else LEFT_OUT):
            match = self.next_token(end if number else first)
            if match is None or match[0] in "{}[]":
                return False
            end = max(match.end(), last)
            if self.fits(interactive, end):
                if re.search(r"\w", self.text[first:end]):
                    self.lose(first, accepted)
                self.move(interactive, end)
                return True
        return False

    def closes(self, interactive: Any, first: int) -> bool:
        """Close the blocks before a word that can only begin a statement."""
        match = SKIP.match(self.text, first)
        if match is None or match[0] not in STATEMENTS:
            return False
        for number in range(1, 4):
            if self.fits(interactive, first, ["_RBRACE"] * number):
                self.closed[first] = number
                self.layout = Layout(self.text, self.closed)
                for _ in range(number):
                    interactive.feed_token(token("_RBRACE", "}", first, first))
                self.move(interactive, first)
                return True
        return False

    def next_token(self, position: int) -> re.Match[str] | None:
        for match in SKIP.finditer(self.text, position):
            if match["blank"] is None:
                return match
        return None

    def fits(self, interactive: Any, position: int, inserted: Iterable[str] = ()) -> bool:
        """Whether parsing takes what is ``inserted`` and some tokens from ``position`` on. Nothing is built."""
        from lark.exceptions import UnexpectedInput

        trial = interactive.copy(deepcopy_values=False)
        conf = copy.copy(trial.parser_state.parse_conf)
        conf.callbacks = {}
        trial.parser_state.parse_conf = conf
        try:
            for kind in inserted:
                trial.feed_token(token(kind, "", position, position))
            self.move(trial, position)
            for number, found in enumerate(trial.lexer_thread.lex(trial.parser_state), 1):
                trial.feed_token(found)
                if number == AHEAD or found.type in ("_RBRACE", "_RBRACK"):
                    return True
            return "$END" in trial.accepts()
        except UnexpectedInput:
            return False

    def move(self, interactive: Any, position: int) -> None:
        counter = interactive.lexer_thread.state.line_ctr
        if position > counter.char_pos:
            counter.feed(self.text[counter.char_pos : position])
        else:
            counter.char_pos = position

    def lose(self, position: int, accepted: set[str]) -> None:
        """Note the statement at ``position`` as not whole; between statements, the one that a word there may mean."""
        if "_TRAFFIC" not in accepted:
            self.lost.add(self.layout.statement(position))
            return
        match = self.next_token(position)
        meant = (otherwise.STATEMENTS.get(match[0]) or nearest(match[0], STATEMENTS)) if match is not None else None
        self.lost |= {meant} if meant else set()

    # Giving a stretch up --------------------

    def given_up(self, interactive: Any, position: int) -> bool:
        """Put ERROR where the broken statement stood and skip the text up to what may follow it."""
        state = interactive.parser_state
        self.lose(position, interactive.accepts())
        depth = 0
        while not self.takes_error(interactive):
            if not state.value_stack:
                return False
            state.state_stack.pop()
            dropped = state.value_stack.pop()
            depth += getattr(dropped, "type", "") in ("_LBRACE", "_LBRACK")
        interactive.feed_token(token("ERROR", "", position, position))
        accepted = interactive.accepts()
        target = self.resumption(position, accepted, depth)
        self.move(interactive, target)
        return target < len(self.text) or self.close(interactive)

    @staticmethod
    def takes_error(interactive: Any) -> bool:
        """Whether ERROR may stand here. That the table knows it is not enough: a reduction may come first, and fail."""
        state = interactive.parser_state
        return "ERROR" in state.parse_conf.parse_table.states[state.position] and "ERROR" in interactive.accepts()

    def resumption(self, position: int, accepted: set[str], depth: int) -> int:
        """The first place after ``position`` where a token that may follow begins: a keyword, a name that opens a
        line, or the brace that closes the block. ``depth`` brackets were opened by what is given up."""
        fresh = False
        before = ""
        for match in SKIP.finditer(self.text, position):
            if match["blank"] is not None:
                fresh = fresh or "\n" in match[0]
                continue
            if depth == 0:
                if match[0] == "}" and "_RBRACE" in accepted:
                    return match.start()
                if match["word"] and match.start() > position and self.may_follow(match, accepted, fresh, before):
                    return match.start()
            fresh = False
            before = match[0]
            if match["other"]:
                depth = max(0, depth + (match[0] in "{[") - (match[0] in "}]"))
        return len(self.text)

    def may_follow(self, match: re.Match[str], accepted: set[str], fresh: bool, before: str) -> bool:
        word = match[0]
        keyword = "_" + word.upper()
        if keyword in accepted and keyword not in CLAUSES:
            return True
        if not accepted & {"NAME", "CALL"} or accepted & {"_THEN", "_AND"}:
            return False
        statement = self.layout.statement(match.start())
        if statement == "expect" and "CALL" in accepted:
            begins = word in MEASURES or self.text.startswith("(", match.end())
            return fresh or word == "warn" or (begins and before not in ("(", "<", ">", "=", "*", "during", "warn"))
        return fresh or word in {"guardrails": set(GUARDRAILS), "job": set(JOB)}.get(statement, ())

    def close(self, interactive: Any) -> bool:
        """At the end of the text: close the blocks still open, so that what was read is not lost."""
        end = len(self.text)
        self.lost.add("scenario")
        while "_RBRACE" in interactive.accepts():
            interactive.feed_token(token("_RBRACE", "}", end, end))
        return "$END" in interactive.accepts()
