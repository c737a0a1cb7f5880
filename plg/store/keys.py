"""The keys that seal secrets: from ``PLG_KEYS``, else from the keyring of the system."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field

from plg.dataclass import dataclass
from plg.redaction import remember
from plg.store.errors import NoKey

_KEY = re.compile(r"([A-Za-z0-9._-]{1,32}):([0-9a-fA-F]{64})")
_FORM = "PLG_KEYS is ID:HEX64[,ID:HEX64…], each key 64 hexadecimal digits; the first seals, all open"
_MAKE = 'export PLG_KEYS="main:$(openssl rand -hex 32)" makes one; keep it apart from the data folder'
SERVICE = "plg"
"""What the keyring of the system knows plg's keys by; the name there is PLG_KEYS, its value is spelled alike."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys (32 bytes) by id, in order."""

    by_id: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @staticmethod
    def read(text: str) -> Keys:
        """The keys in a text spelled as ``PLG_KEYS`` is. Raises `NoKey`, which never repeats the text."""
        found: dict[str, bytes] = {}
        for number, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
            match = _KEY.fullmatch(part)
            if match is None:
                raise NoKey(f"the key number {number} of PLG_KEYS cannot be read", _FORM)
            if match[1] in found:
                raise NoKey(f"PLG_KEYS has two keys with the id {match[1]!r}", "give each an id of its own")
            found[match[1]] = bytes.fromhex(match[2])
            remember([match[2]])
        return Keys(found)

    @staticmethod
    def of_environment(environ: Mapping[str, str] | None = None) -> Keys:
        """Those in ``PLG_KEYS``; where it is not set, those that the keyring of the system has for plg."""
        given = (os.environ if environ is None else environ).get("PLG_KEYS")
        return Keys.read(given) if given else Keys.read(_from_keyring())

    def sealing(self, what: str) -> tuple[str, bytes]:
        """The id and the key that seals. Raises `NoKey` where there is none."""
        if not self.by_id:
            raise NoKey(
                f"{what} is a secret and there is no key to seal it with: nothing was saved",
                f"{_MAKE}; what is read from the environment (env NAME) is never saved and needs none",
            )
        return next(iter(self.by_id.items()))

    def opening(self, id: str, whose: str) -> bytes:
        """The key ``id``. Raises `NoKey` where it is not there."""
        if id not in self.by_id:
            have = f"PLG_KEYS has {', '.join(self.by_id)}" if self.by_id else "PLG_KEYS is not set"
            raise NoKey(f"{whose} is sealed with the key {id!r}, which is not here", f"{have}: add the key {id!r}")
        return self.by_id[id]


def _from_keyring() -> str:
    with suppress(Exception):  # no keyring, a locked one, one that fails: there is no key then
        import keyring

        return keyring.get_password(SERVICE, "PLG_KEYS") or ""
    return ""
