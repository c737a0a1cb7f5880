"""A document as YAML: small mappings on one line, nothing that another reader would take for something else."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from plg.language.source import Document
from plg.language.validate import field_order

_PLAIN = re.compile(r"[A-Za-z_/$(][\w ./${}()<>=!%+*@-]*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_TYPED = re.compile(
    r"[-+.]?[0-9_]+|~|null|true|false|yes|no|on|off|y|n|[-+]?\.(inf|nan)|0[ox].*|[-+]?[0-9_]*\.?[0-9]+([eE][-+]?[0-9]+)?|=|<<",
    re.IGNORECASE,
)


def write_yaml(document: Document) -> str:
    """The document as YAML, small mappings on one line."""
    return "\n".join(_yaml(field_order(document), 0)) + "\n"


def _yaml(value: Any, depth: int) -> Iterator[str]:
    """The lines of a mapping or list that is not written on one line."""
    indent = "  " * depth
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _entry(f"{indent}{_scalar(key)}:", child, depth)
        return
    for child in value:
        if _is_flat(child, depth):
            yield f"{indent}- {_inline(child)}"
            continue
        first, *rest = _yaml(child, depth + 1)
        yield f"{indent}- {first.lstrip()}"
        yield from rest


def _entry(head: str, child: Any, depth: int) -> Iterator[str]:
    if _is_flat(child, depth):
        yield f"{head} {_inline(child)}"
        return
    yield head
    yield from _yaml(child, depth + 1)


def _is_flat(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list) or not value:
        return True
    children = value.values() if isinstance(value, dict) else value
    if depth == 0 and isinstance(value, list) and any(isinstance(child, str) and " " in child for child in children):
        return False
    if any(isinstance(child, dict | list) and len(child) > 2 for child in children):
        return False
    return (depth > 0 or isinstance(value, list) or len(value) < 4) and len(_inline(value)) + 2 * depth <= 120


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_inline(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        special = ":#{}[],&*!|>'\"%@`\n\t" if " " not in value else ":#{}[],&*|'\"`\n\t"
        plain = _PLAIN.fullmatch(value) or re.fullmatch(r"[0-9][\w./%]*[a-zA-Z%]", value)
        if plain and not _TYPED.fullmatch(value) and not set(value) & set(special) and value == value.strip():
            return value
        return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if value != value else (".inf" if value > 0 else "-.inf")
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value)


def _float(value: float) -> str:
    """A float that every YAML reader takes for one: exponents carry a point and a sign."""
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{sign}{exponent}"
