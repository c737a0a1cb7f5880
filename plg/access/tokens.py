"""The tokens of a data folder: made, listed, revoked and recognised. Only their Argon2id hashes are kept.

``tokens.json`` holds them; whoever changes it holds ``tokens.json.lock`` and replaces it as a whole. A token is
``plg_ID_SECRET``: the id finds the hash, so that one hash is computed for each attempt, and 192 bits of secret.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from plg.access.errors import AccessError, not_installed
from plg.access.files import locked, replace_file, unusable
from plg.access.roles import ROLES, Account
from plg.dataclass import dataclass
from plg.redaction import remember

FILE = "tokens.json"
LASTING = 90 * 86_400.0
"""Seconds that a token is good for unless it says otherwise."""
_TOKEN = re.compile(r"plg_([0-9a-f]{12})_([0-9a-f]{48})")
_NAME = re.compile(r"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{0,98}[^\s\x00-\x1f\x7f])?")
_MEMORY, _ITERATIONS, _LANES, _LENGTH = 19_456, 2, 1, 32
"""Argon2id: KiB of memory, passes, lanes and bytes of the hash."""
_AT_ONCE = 2
"""Hashes that are computed at a time, so that many sign-ins do not take all memory."""
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept. Moments are in seconds since the epoch; None where there is none."""

    id: str
    name: str
    role: str
    salt: str
    hash: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None = None
    created_by: str = ""

    def state(self, now: float) -> str:
        """``revoked``, ``expired`` or ``valid``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "valid"


class Tokens:
    """The tokens of one data folder. Safe for threads and processes; a change is seen by all of them at once."""

    def __init__(self, data: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = data / FILE, clock
        self._lock, self._hashing = threading.Lock(), threading.Semaphore(_AT_ONCE)
        self._seen: tuple[int, ...] = ()
        self._known: dict[str, Token] = {}
        self._key = os.urandom(32)
        self._recognised: OrderedDict[bytes, str] = OrderedDict()

    def create(
        self,
        name: str,
        role: str,
        lasting: float | None = LASTING,
        by: str = "",
        tell: Callable[[Token], object] = lambda token: None,
    ) -> tuple[str, Token]:
        """A new token: its text, which is kept nowhere, and what is kept of it. Raises `AccessError`.

        It is good for ``lasting`` seconds; None: until it is revoked. ``tell`` is called before it is, with a log to
        write it down in; what that raises keeps it from being made.
        """
        if role not in ROLES:
            raise AccessError(f"there is no role {role!r}", f"the roles are {', '.join(ROLES)}")
        if not _NAME.fullmatch(name):
            raise AccessError("the name of a token is a line of 1 to 100 letters, without blanks around it")
        id, secret, salt, now = secrets.token_hex(6), secrets.token_hex(24), os.urandom(16), self._clock()
        token = Token(
            id, name, role, base64.b64encode(salt).decode(), self._hash(secret, salt), now,
            None if lasting is None else now + lasting, None, by,
        )  # fmt: skip
        with locked(self._path):
            known = self._read()
            if any(each.name == name and each.state(now) == "valid" for each in known):
                raise AccessError(f"there is a token {name!r} already", f"plg token revoke {name!r}, or another name")
            tell(token)
            self._write([*known, token])
        remember([secret])
        return f"plg_{id}_{secret}", token

    def revoke(self, which: str, tell: Callable[[Token], object] = lambda token: None) -> list[Token]:
        """Revoke the tokens of this name or id; ``tell`` as in `create`. Raises `AccessError` where there is none."""
        now = self._clock()
        with locked(self._path):
            known = self._read()
            hit = [each for each in known if which in (each.name, each.id) and each.revoked_at is None]
            if not hit:
                raise AccessError(f"there is no token {which!r} that could be revoked", "plg token list names them")
            revoked = [replace(each, revoked_at=now) for each in hit]
            for each in hit:
                tell(each)
            self._write([revoked[hit.index(each)] if each in hit else each for each in known])
        return revoked

    def all(self) -> list[Token]:
        """All of them, also those that are not valid any more. Raises `AccessError`."""
        self._look()
        return list(self._known.values())

    @property
    def any_valid(self) -> bool:
        """Whether anybody has a token, so that nobody may come without one. Raises `AccessError`."""
        self._look()
        now = self._clock()
        return any(each.state(now) == "valid" for each in self._known.values())

    def known(self, text: str) -> bool:
        """Whether this process has recognised ``text`` before: to ask it again costs next to nothing."""
        with self._lock:
            return self._digest(text) in self._recognised

    def still_valid(self, id: str) -> bool:
        """Whether the token with this id is valid. Raises `AccessError`."""
        self._look()
        token = self._known.get(id)
        return token is not None and token.state(self._clock()) == "valid"

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(errors="replace"), "sha256")

    def recognise(self, text: str) -> Account | None:
        """Whose token ``text`` is; None where it is nobody's, or not valid any more. Raises `AccessError`.

        The first time costs an Argon2id hash, later ones a keyed digest of this process.
        """
        found = _TOKEN.fullmatch(text)
        self._look()
        token = self._known.get(found[1]) if found else None
        if found is None or token is None or token.state(self._clock()) != "valid":
            return None
        digest = self._digest(text)
        with self._lock:
            good = self._recognised.get(digest) == token.hash
        if not good:
            good = hmac.compare_digest(self._hash(found[2], base64.b64decode(token.salt)), token.hash)
        if not good:
            return None
        with self._lock:
            self._recognised[digest] = token.hash
            self._recognised.move_to_end(digest)
            while len(self._recognised) > _REMEMBERED:
                self._recognised.popitem(last=False)
        return Account(token.name, token.role, token.id)

    def _hash(self, secret: str, salt: bytes) -> str:
        try:
            from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
        except ImportError:
            raise not_installed("cryptography") from None
        with self._hashing:
            kdf = Argon2id(
                salt=salt, length=_LENGTH, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY
            )  # fmt: skip
            return base64.b64encode(kdf.derive(secret.encode())).decode()

    def _look(self) -> None:
        """Read the file where it has changed."""
        try:
            stat = self._path.stat()
            seen: tuple[int, ...] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except FileNotFoundError:
            seen = (0,)
        except OSError as error:
            raise unusable(self._path, error) from None
        if seen != self._seen:
            self._known, self._seen = {each.id: each for each in self._read()}, seen

    def _read(self) -> list[Token]:
        try:
            document: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            if document["version"] != 1:
                raise AccessError(f"{self._path} is of another version of plg")
            return [Token(**each) for each in document["tokens"]]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unusable(self._path, error) from None
        except (ValueError, TypeError, LookupError):
            raise AccessError(f"{self._path} cannot be read, so nobody is let in", "restore it from a backup") from None

    def _write(self, tokens: Sequence[Token]) -> None:
        document = {"version": 1, "tokens": [asdict(each) for each in tokens]}
        replace_file(self._path, json.dumps(document, indent=1) + "\n")
