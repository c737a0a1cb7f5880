"""What a caller posts to start or plan a test, turned into an order that sees nothing of the server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plg.dataclass import dataclass
from plg.server.problems import Problem, plain_fault

if TYPE_CHECKING:
    from plg.runs.order import Order

BESIDE: Mapping[str, str] = {"params": "mapping", "files": "mapping", "target": "string", "seed": "integer"}
"""Fields that stand beside the document, and what each holds."""
TEXTS: Mapping[str, str] = {"plg": ".plg", "yaml": ".yaml", "json": ".json"}
"""Fields that hold a scenario as somebody wrote it, and how it is spelled in each."""
KEPT = ("save_profile", "profile_name")
_MOST_FILES = 64
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
_KINDS: Mapping[str, type | tuple[type, ...]] = {"mapping": dict, "string": str, "integer": int}


@dataclass(frozen=True, slots=True)
class Posted:
    """A body that was read: the order for it, and where in the body its document stands."""

    order: Order
    at: tuple[str | int, ...] = ()
    has_lines: bool = False
    """Whether lines and columns of faults are those of what was posted."""
    profile: str | None = None


def read_body(data: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `Problem` 400."""
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        words = str(error) if isinstance(error, json.JSONDecodeError) else "it is not JSON in UTF-8"
        raise Problem(400, "bad-json", f"the body cannot be read: {words}") from None
    if _ESCAPED.search(data) and not _is_text(found):
        raise Problem(400, "bad-json", "the body holds text that is not Unicode")
    if not isinstance(found, dict):
        raise Problem(400, "bad-json", "the body must be a JSON object")
    return found


def _is_text(found: Any) -> bool:
    """Whether all text in a body can be written down: JSON spells halves of characters too."""
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"JSON knows no {name}")


def read_posted(
    body: Mapping[str, Any], policies: Sequence[tuple[str, str]], account: str, run_id: str, role: str = ""
) -> Posted:
    """The order for a posted document, ``{scenario: DOCUMENT}`` or ``{plg: TEXT}``, where the text may also
    be ``yaml`` or ``json``. Raises `Problem` 422.

    It has no environment and no folder; tables and recordings it may read are those that are posted in ``files``.
    """
    from plg.runs.order import Order

    ways = [name for name in ("scenario", *TEXTS) if name in body]
    document: dict[str, Any] = {}
    beside: Mapping[str, Any] = {}
    if len(ways) > 1:
        raise _wrong(f"both `{ways[0]}` and `{ways[1]}` are given", (ways[1],), "post one of them")
    profile = _profile(body)
    if not ways:
        document = {name: value for name, value in body.items() if name not in KEPT}
        document.setdefault("name", profile or "load-test")
    else:
        beside = body
        _known(body, (*ways, *BESIDE, *KEPT))
    [spelled] = ways if ways and ways[0] in TEXTS else [""]
    if spelled:
        text, suffix = body[spelled], TEXTS[spelled]
        if not isinstance(text, str):
            raise _wrong(f"`{spelled}` must be the text of a scenario", (spelled,))
    else:
        inner = body.get("scenario", document)
        if not isinstance(inner, dict):
            raise _wrong("`scenario` must be an object: a document as plg convert --to json writes it", ("scenario",))
        text, suffix = _json(inner), ".json"
    order = Order(
        text, suffix, f"posted{suffix}", None, files=_files(beside.get("files", {})),
        overrides=_params(beside.get("params", {})), target=beside.get("target"), seed=beside.get("seed"),
        policies=tuple(policies), account=account, role=role, run_id=run_id,
    )  # fmt: skip
    return Posted(order, tuple(ways) if ways == ["scenario"] else (), bool(spelled), profile)


def _json(document: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(document)
        text.encode("utf-8")
    except (ValueError, RecursionError):
        raise _wrong("the document holds text that is not Unicode, or nests too deep", ()) from None
    return text


def _known(body: Mapping[str, Any], names: Sequence[str]) -> None:
    for name, value in body.items():
        if name not in names:
            raise _wrong(f"there is no field {name!r}", (name,), f"known: {', '.join(names)}", code="unknown-key")
        kind = BESIDE.get(name)
        if kind is not None and (not isinstance(value, _KINDS[kind]) or isinstance(value, bool)):
            raise _wrong(f"`{name}` must be a {kind}", (name,), code="wrong-type")


def _profile(body: Mapping[str, Any]) -> str | None:
    """The name that the document is to be saved under; None where it is not to be saved."""
    wanted, name = body.get("save_profile", False), body.get("profile_name")
    if not isinstance(wanted, bool):
        raise _wrong("`save_profile` must be true or false", ("save_profile",), code="wrong-type")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise _wrong("`profile_name` must be a name", ("profile_name",), code="wrong-type")
    if wanted and name is None:
        raise _wrong("`save_profile` needs a `profile_name`", ("save_profile",), code="missing-key")
    return name if wanted else None


def _params(given: Any) -> dict[str, str]:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            help = 'as --set takes it: "900/s"'
            raise _wrong(f"the param {name!r} must be a text or a number", ("params", name), help, code="wrong-type")
    return {name: str(value) for name, value in given.items()}


def _files(given: Any) -> dict[str, str]:
    if len(given) > _MOST_FILES:
        raise _wrong(f"no more than {_MOST_FILES} files can be posted", ("files",), code="too-large")
    for name, text in given.items():
        if not isinstance(text, str):
            raise _wrong(f"the file {name!r} must be a text", ("files", name), code="wrong-type")
        parts = name.split("/")
        if not name.isprintable() or "\\" in name or len(name) > 200 or any(part in ("", ".", "..") for part in parts):
            raise _wrong("a file is named by a path inside its folder", ("files", name), code="file-outside")
    try:
        return {name: base64.b64encode(text.encode("utf-8")).decode() for name, text in given.items()}
    except UnicodeEncodeError:
        raise _wrong("a file holds text that is not Unicode", ("files",), code="not-text") from None


def _wrong(message: str, path: Sequence[str | int], help: str = "", *, code: str = "bad-body") -> Problem:
    return Problem(422, code, message, faults=[plain_fault(code, message, path, help)])
