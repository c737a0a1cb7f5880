"""A profile as a file: without its secrets, or with them sealed by a passphrase (Argon2id, then AES-256-GCM)."""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import Any

from plg.store.base import Document, Draft, Profile
from plg.store.errors import BadValue, Unsealable
from plg.store.sealing import carried_over, hidden, places, value_at, with_values

FORM = 1
_SHORTEST = 8
_MEMORY, _ITERATIONS, _LANES = 64 * 1024, 3, 4
"""What it costs to try a passphrase: KiB, passes and lanes; a tenth of a second."""
_MOST = {"memory": 1024 * 1024, "iterations": 16, "lanes": 16}
"""What a file may ask for: more would be an attack on who reads it."""


def exported(profile: Profile, passphrase: str | None) -> Document:
    """The profile as JSON. With a ``passphrase`` it must be opened. Raises `BadValue` for one that is too short."""
    shown = hidden(profile)
    document: Document = {
        "plg_profile": FORM, "name": shown.name, "version": shown.version, "description": shown.description,
        "tags": list(shown.tags), "scenario": shown.scenario, "metadata": shown.metadata, "files": dict(shown.files),
        "secret": list(shown.secret),
    }  # fmt: skip
    found = places(profile)
    if passphrase is not None and found:
        document["sealed"] = _locked([[list(place), value_at(profile, place)] for place in found], passphrase)
    return document


def read_export(data: bytes, file: str) -> Document:
    """The document in an exported file. Raises `BadValue` where it is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "plg_profile" not in document:
        raise BadValue(
            f"{file} is no exported profile", "plg profile export writes one; plg profile save keeps a scenario"
        )
    return document


def is_locked(document: Document) -> bool:
    """Whether a passphrase is needed for it."""
    return "sealed" in document


def imported(document: Document, passphrase: str | None = None) -> Draft:
    """The profile in an exported document. Without its secrets they are `***`, which stands for those of the profile
    that it is saved over. Raises `BadValue` and `Unsealable`."""
    if document.get("plg_profile") != FORM:
        raise BadValue(
            f"this profile was exported in the form {document.get('plg_profile')!r}, this plg reads {FORM}",
            "a later plg may read it",
        )
    _check_form(document)
    profile = Profile(
        "", 0, document["name"], document["scenario"], "", "", "", "", document["description"],
        tuple(document["tags"]), document["metadata"], document["files"], tuple(document["secret"]),
    )  # fmt: skip
    if is_locked(document) and passphrase is not None:
        values = {tuple(place): value for place, value in _unlocked(document["sealed"], passphrase)}
        profile = with_values(profile, values)
        carried_over(profile, None)
    return Draft(
        profile.name, profile.scenario, profile.description, profile.tags, profile.metadata, profile.files,
        profile.secret,
    )  # fmt: skip


def _check_form(document: Document) -> None:
    kinds: dict[str, type] = {
        "name": str, "description": str, "tags": list, "scenario": dict, "metadata": dict, "files": dict,
        "secret": list,
    }  # fmt: skip
    document.setdefault("files", {})
    for name, kind in kinds.items():
        if not isinstance(document.get(name), kind):
            raise BadValue(f"the exported profile is damaged at {name!r}")
    words = [*document["tags"], *document["secret"], *document["files"], *document["files"].values()]
    if not all(isinstance(word, str) for word in words):
        raise BadValue("the exported profile is damaged")


def _key(passphrase: str, salt: bytes, cost: Document) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(salt=salt, length=32, iterations=cost["iterations"], lanes=cost["lanes"], memory_cost=cost["memory"])
    return kdf.derive(passphrase.encode("utf-8", "surrogatepass"))


def _locked(values: list[Any], passphrase: str) -> Document:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(passphrase) < _SHORTEST:
        raise BadValue(f"the passphrase has fewer than {_SHORTEST} characters")
    cost: Document = {"kdf": "argon2id", "memory": _MEMORY, "iterations": _ITERATIONS, "lanes": _LANES}
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(passphrase, salt, cost)).encrypt(nonce, json.dumps(values).encode(), _bound(cost))
    spelled = {name: base64.b64encode(part).decode() for name, part in (("salt", salt), ("data", nonce + sealed))}
    return {**cost, **spelled}


def _unlocked(sealed: Any, passphrase: str) -> list[Any]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    names = ("memory", "iterations", "lanes")
    if not isinstance(sealed, dict) or sealed.get("kdf") != "argon2id":
        raise BadValue("the secrets of the exported profile are sealed in a way that this plg does not know")
    cost: Document = {name: sealed.get(name) for name in names}
    if not all(type(cost[name]) is int and 1 <= cost[name] <= _MOST[name] for name in names):
        raise BadValue("the secrets of the exported profile ask for more memory or time than is given")
    try:
        salt, data = (base64.b64decode(sealed[name], validate=True) for name in ("salt", "data"))
        plain = AESGCM(_key(passphrase, salt, cost)).decrypt(data[:12], data[12:], _bound({"kdf": "argon2id", **cost}))
        values: list[Any] = json.loads(plain)
    except (InvalidTag, binascii.Error, ValueError, KeyError, TypeError):
        raise Unsealable(
            "the secrets of the exported profile cannot be opened: another passphrase, or a damaged file"
        ) from None
    return values


def _bound(cost: Document) -> bytes:
    return json.dumps([FORM, cost["kdf"], cost["memory"], cost["iterations"], cost["lanes"]]).encode()
