"""Secrets of profiles, sealed before a store sees them: AES-256-GCM, a fresh nonce each, bound to their place.

Sealed are payloads, arguments of calls, URLs of targets and webhooks, tables, and the fields a profile marks as secret.
A sealed value is the text ``plg-sealed:1:KEY:BASE64`` in place of what stood there, so documents keep their form. It
opens only with its key, and only at its place in its version of its profile.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from plg.diagnostics import Path
from plg.language.document import each_job
from plg.language.vocabulary import CONTENTS
from plg.redaction import HIDDEN
from plg.store.base import Document, Profile
from plg.store.errors import BadValue, Unsealable
from plg.store.keys import Keys

MARK = "plg-sealed:1:"
_NONCE = 12
_OPEN = ("embedded", "fake", "")
"""Targets that are no URL."""


def places(profile: Profile) -> list[Path]:
    """Where the secrets of a profile stand, each once. Raises `BadValue` for a marked field that is not there."""
    found = [("scenario", *path) for path in _of_scenario(profile.scenario)]
    if profile.files:
        found.append(("files",))
    for path in _marked(profile):
        if not any(path[: len(place)] == place for place in found):
            found = [place for place in found if place[: len(path)] != path]
            found.append(path)
    return found


def _of_scenario(document: Document) -> Iterator[Path]:
    for path, job in each_job(document):
        yield from ((*path, name) for name in CONTENTS if job.get(name) not in (None, {}, [], ""))
    yield from _urls(document.get("target"), ("target",))
    guardrails = document.get("guardrails")
    for holder, start in ((document, ()), (guardrails, ("guardrails",))):
        emergency = holder.get("emergency") if isinstance(holder, dict) else None
        if isinstance(emergency, dict) and emergency.get("webhook"):
            yield (*start, "emergency", "webhook")


def _urls(target: Any, path: Path) -> Iterator[Path]:
    if isinstance(target, str) and target not in _OPEN:
        yield path
    if isinstance(target, dict):
        for name in ("url", "default"):
            yield from _urls(target.get(name), (*path, name))


def _marked(profile: Profile) -> Iterator[Path]:
    for name in profile.secret:
        if name.removeprefix("scenario.") != "description":
            yield _path_of(name, profile)
            continue
        # A profile takes its own from the scenario: both would tell it.
        yield from [("description",)] * bool(profile.description)
        yield from [("scenario", "description")] * ("description" in profile.scenario)


def _path_of(name: str, profile: Profile) -> Path:
    """The path of a marked field. Raises `BadValue` where there is none, or it cannot be secret."""
    first, *rest = name.removeprefix("scenario.").split(".")
    steps = ["metadata", *rest] if first == "metadata" else ["scenario", first, *rest]
    node: Any = {"scenario": profile.scenario, "metadata": profile.metadata}
    path: list[str | int] = []
    for step in steps:
        key: str | int = int(step) if isinstance(node, list) and step.isascii() and step.isdigit() else step
        known = key in node if isinstance(node, dict) else isinstance(key, int) and 0 <= key < len(node)
        if not known:
            raise BadValue(f"the field {name!r}, which is marked secret, is not there", _MARKABLE)
        path.append(key)
        node = node[key]
    param = len(path) == 3 and path[1] == "params"
    if not param and (first != "metadata" or not rest or rest == ["environment"]):
        raise BadValue(f"the field {name!r} cannot be marked secret", _MARKABLE)
    return tuple(path)


_MARKABLE = "params.NAME, description, and the metadata but for its environment can be"


def seal(profile: Profile, keys: Keys) -> Profile:
    """The profile with its secrets sealed by the first key. Raises `NoKey` where it has secrets and there is none."""
    found = places(profile)
    if not found:
        return profile
    id, key = keys.sealing(_spelled(found[0]))
    return with_values(
        profile, {place: _seal(value_at(profile, place), id, key, _bound(profile, place)) for place in found}
    )


def open_sealed(profile: Profile, keys: Keys) -> Profile:
    """The profile with its secrets readable. Raises `NoKey` and `Unsealable`."""
    values = {}
    for place in places(profile):
        value = value_at(profile, place)
        if is_sealed(value):
            values[place] = _open(value, keys, profile, place)
    return with_values(profile, values)


def hidden(profile: Profile) -> Profile:
    """The profile with ``***`` for each secret, for people and programs to look at."""
    return with_values(profile, {place: {} if place == ("files",) else HIDDEN for place in places(profile)})


def carried_over(profile: Profile, before: Profile | None) -> Profile:
    """``profile`` with the values of the opened version ``before`` for each ``***``, as a reader of `hidden` sends it.

    Raises `BadValue` where there is nothing to take.
    """
    values: dict[Path, Any] = {}
    for place in places(profile):
        value = value_at(profile, place)
        if is_sealed(value):
            raise BadValue(f"{_spelled(place)} is sealed already: only the profile it was made for can open it")
        if value == HIDDEN:
            kept = None if before is None else value_at(before, place)
            if kept is None or kept == HIDDEN:
                raise BadValue(f"{_spelled(place)} is {HIDDEN}, which stands for a secret", "give its value")
            values[place] = kept
    if before is not None and before.files and not profile.files and _reads_files(profile.scenario):
        return replace(with_values(profile, values), files=before.files)
    return with_values(profile, values)


def takes_from_before(profile: Profile) -> bool:
    """Whether `carried_over` has something to take from the version before."""
    stands = any(value_at(profile, place) == HIDDEN for place in places(profile))
    return stands or (not profile.files and _reads_files(profile.scenario))


def _reads_files(document: Document) -> bool:
    return '"data"' in (text := json.dumps(document)) or '"replay"' in text


def resealed(profile: Profile, keys: Keys) -> Profile | None:
    """The profile sealed by the first key alone; None where it is."""
    id, _ = keys.sealing("rekey")
    ids = [_key_of(value_at(profile, place)) for place in places(profile) if is_sealed(value_at(profile, place))]
    return None if all(each == id for each in ids) else seal(open_sealed(profile, keys), keys)


def is_sealed(value: Any) -> bool:
    """Whether this stands for a sealed value."""
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("sealed")
    return isinstance(value, str) and value.startswith(MARK)


def _seal(value: Any, id: str, key: bytes, bound: bytes) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return f"{MARK}{id}:{base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text, bound)).decode()}"


def _open(value: Any, keys: Keys, profile: Profile, place: Path) -> Any:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    whose = f"{_spelled(place)} of the profile {profile.name!r}, version {profile.version},"
    text = value["sealed"] if isinstance(value, dict) else value
    id, _, sealed = text.removeprefix(MARK).partition(":")
    key = keys.opening(id, whose)
    try:
        data = base64.b64decode(sealed, validate=True)
        plain = AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], _bound(profile, place))
        return json.loads(plain.decode("utf-8", "surrogatepass"))
    except (InvalidTag, binascii.Error, ValueError):
        raise Unsealable(
            f"{whose} cannot be opened: it is damaged, was moved there from elsewhere, or the key {id!r} is another "
            "than it was sealed with",
            "an earlier version of the profile may be whole: plg profile history",
        ) from None


def _bound(profile: Profile, place: Path) -> bytes:
    """What a sealed value belongs to, and opens with alone."""
    return json.dumps([profile.id, profile.sealed_as or profile.version, *place]).encode()


def _key_of(value: Any) -> str:
    text = value["sealed"] if isinstance(value, dict) else value
    return str(text.removeprefix(MARK).partition(":")[0])


def _spelled(place: Path) -> str:
    return ".".join(map(str, place)).removeprefix("scenario.")


def _root(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in ("scenario", "metadata", "files", "description")}


def value_at(profile: Profile, place: Path) -> Any:
    """What stands at a place of a profile; None where nothing does."""
    node: Any = _root(profile)
    for step in place:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def with_values(profile: Profile, values: Mapping[Path, Any]) -> Profile:
    """The profile with other values at some places; what is not on the way to one of them is shared, not copied."""
    root: Any = _root(profile)
    for place, value in values.items():
        root = _put(root, place, {"sealed": value} if place == ("files",) and isinstance(value, str) else value)
    return replace(profile, **root)


def _put(node: Any, place: Path, value: Any) -> Any:
    if not place:
        return value
    first, rest = place[0], place[1:]
    copy: Any = dict(node) if isinstance(node, Mapping) else list(node)
    copy[first] = _put(node[first], rest, value)
    return copy


def without_secrets(document: Document) -> Document:
    """A scenario as it may be kept and shown: ``***`` for payloads, arguments of calls and webhooks. Its target stays:
    whoever makes such a document takes the password out of it."""
    shown: Any = document
    for path in _of_scenario(document):
        if path[0] != "target":
            shown = _put(shown, path, HIDDEN)
    return dict(shown)


_TEMPLATE = re.compile(r"\$\{[^}]*\}")
_TELLING = 8
"""A stretch of a payload with fewer characters is an ordinary word as often as a secret."""


def secret_texts(document: Document) -> tuple[str, ...]:
    """The stretches of text in payloads and arguments that tell something, to hide where others repeat them."""
    found: dict[str, None] = {}
    for path in _of_scenario(document):
        node: Any = document
        for step in path:
            node = node[step]
        if path[0] != "target":
            found.update(dict.fromkeys(_stretches(node)))
    return tuple(found)


def _stretches(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield from (part for part in _TEMPLATE.split(node) if len(part) >= _TELLING)
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _stretches(child)
