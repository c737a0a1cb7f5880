"""What others say, as each output may show it: servers, files and the environment hold what moves cursors and text."""

from __future__ import annotations

import html
import json
import re

_BLANKS = "\n\t\xa0\u2009\u202f"
"""What moves nothing on a page."""
_COLOUR = re.compile(r"(\x1b\[\d*m)")


def visible(text: str, keep: str = "\n") -> str:
    """``text`` with every character that is no text, but those to ``keep``, written out as ``\\x1b`` or ``\\u202e``."""
    plain = text
    for kept in keep:
        plain = plain.replace(kept, "")
    if plain.isprintable():
        return text
    return "".join(c if c in keep or c.isprintable() else repr(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """The same on one line of a terminal."""
    return visible(text.replace("\n", " "))


def coloured(text: str) -> str:
    """The same for lines of a terminal that hold plg's own colours."""
    pieces = _COLOUR.split(text)
    return "".join(piece if index % 2 else visible(piece) for index, piece in enumerate(pieces))


def markup(text: str, quote: bool = True) -> str:
    """``text`` for HTML and SVG."""
    return html.escape(visible(text, _BLANKS), quote)


def json_text(text: str) -> str:
    """JSON whose strings hold no character that a terminal would obey."""
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)


def command_data(text: str) -> str:
    """``text`` as the message of a workflow command, by the rules of the runner."""
    return visible(text, "\r\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """``text`` as a property of a workflow command, such as its title."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")
