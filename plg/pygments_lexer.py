"""Colours for ``.plg`` in whatever uses Pygments: documentation, terminals, notebooks."""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

STATEMENTS = (
    "scenario", "description", "tags", "param", "target", "data", "workers", "connections", "pacing", "max_lag",
    "watch", "job", "guardrails", "traffic", "expect",
)  # fmt: skip
PHASES = ("steady", "ramp", "sine", "burst", "staircase", "chaos", "points", "replay", "pause", "repeat", "together")
CLAUSES = (
    "env", "else", "keep", "each", "only", "then", "and", "over", "every", "for", "in", "of", "step", "steps", "from",
    "seed", "x", "speed", "max_rate", "during", "within", "after", "to", "returns", "drained", "warn", "or", "stop",
)  # fmt: skip
_END = r"(?![\w-])"


class PlgLexer(RegexLexer):
    """Scenarios of patterned load."""

    name = "plg"
    url = "https://pypi.org/project/patterned-load/"
    aliases: ClassVar = ["plg"]
    filenames: ClassVar = ["*.plg"]
    tokens: ClassVar = {
        "root": [
            (r"\s+", Text),
            (r"#[^\n]*", Comment.Single),
            (r'"', String, "string"),
            (r"\$[^\W\d]\w*(?:-\w+)*", Name.Variable),
            (
                r"-?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+(?![A-Za-zµ0-9]))?"
                r"(?:\s*/\s*[A-Za-zµ]+|\s*%|[A-Za-zµ]+(?:[0-9][0-9_]*(?:\.[0-9]+)?[A-Za-zµ]+)*)?",
                Number,
            ),
            (r"([^\W\d]\w*(?:-\w+)*)(\s*)(:)", bygroups(Name.Label, Text, Punctuation)),
            (r"([^\W\d][\w.]*)(\s*)(\()", bygroups(Name.Function, Text, Punctuation)),
            (words(STATEMENTS, suffix=_END), Keyword.Declaration),
            (words(PHASES, suffix=_END), Keyword.Type),
            (words(CLAUSES, suffix=_END), Keyword),
            (r"(?:true|false|null)(?![\w-])", Keyword.Constant),
            (r"[^\W\d]\w*(?:-\w+)*(?:\.\w+(?:-\w+)*)*", Name),
            (r"->|→|\+-|±|\.\.|<=|>=|==|!=|[<>=*]", Operator),
            (r"[{}\[\](),:]", Punctuation),
        ],
        "string": [
            (r'[^"\\\n$]+', String),
            (r"\\.", String.Escape),
            (r'\$\{(?:[^{}"\\\n]|"[^"\\\n]*")*\}', String.Interpol),
            (r"\$", String),
            (r'"', String, "#pop"),
            (r"\n", Text, "#pop"),
        ],
    }
