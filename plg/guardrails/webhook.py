"""Tells somebody else of an emergency: a signed request, tried again for a while, that no run ever waits for.

The headers are those of Standard Webhooks (standardwebhooks.com): ``webhook-id`` stays the same over all attempts,
``webhook-signature`` is ``v1,`` and HMAC-SHA256 (base64) over ``ID.TIMESTAMP.BODY``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from plg.guardrails.terms import Webhook
from plg.redaction import hide_known, redact, remember

WAITS = (0.5, 2.0, 8.0, 30.0, 120.0)
"""Seconds before each further attempt, each up to a fifth longer or shorter."""
TIMEOUT = 5.0
"""Seconds that an attempt may take."""
_MOST = 100
"""Messages that wait; of more the oldest are given up."""


class BadSecret(ValueError):
    """The secret of a webhook is missing or cannot be read; the message does not repeat it."""


def key_of(webhook: Webhook, environ: Mapping[str, str]) -> bytes:
    """The key that signs. Raises `BadSecret`."""
    text = environ.get(webhook.secret_env, "").strip()
    if not text:
        raise BadSecret(f"the variable {webhook.secret_env} with the secret of the webhook is not set")
    remember([text, text.removeprefix("whsec_")])
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise BadSecret(f"the secret in {webhook.secret_env} must be whsec_ and 24 to 64 bytes in base64")
    return key


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"


class Notifier:
    """Sends messages to one webhook, in order, from a thread of its own.

    ``log`` is told in words of what was delivered, tried again or given up. ``sent`` and ``given_up`` count.
    """

    def __init__(
        self,
        webhook: Webhook,
        environ: Mapping[str, str],
        log: Callable[[str], None] = lambda words: None,
        waits: tuple[float, ...] = WAITS,
    ) -> None:
        self._webhook, self._key, self._log, self._waits = webhook, key_of(webhook, environ), log, waits
        self.shown = redact(webhook.url)
        self.sent = self.given_up = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._changed = threading.Condition()
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None

    def notify(self, kind: str, data: Mapping[str, Any]) -> str:
        """Have a message sent, and return at once; its id."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        told = hide_known(json.dumps({"type": kind, "timestamp": moment, "data": data}, default=str))
        id = f"msg_{uuid.uuid4().hex}"
        with self._changed:
            self._waiting.append((id, told.encode()))
            if len(self._waiting) > _MOST:
                self._waiting.popleft()
                self._lose(f"{_MOST} messages wait for {self.shown}: the oldest was given up")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="plg-webhook", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return id

    def close(self, patience: float) -> None:
        """Give what waits so many seconds more, and then up."""
        until = time.monotonic() + patience
        with self._changed:
            while (self._waiting or self._busy) and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            self._closed = True
            left_over = len(self._waiting) + self._busy
            self._changed.notify_all()
        if left_over:
            self._lose(f"{left_over} of the messages for {self.shown} could not be delivered in time", left_over)

    def _lose(self, words: str, count: int = 1) -> None:
        self.given_up += count
        self._log(words)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                id, body = self._waiting.popleft()
                self._busy = True
            delivered = self._deliver(id, body)
            with self._changed:
                if delivered:
                    self.sent += 1
                elif not self._closed:
                    self._lose(f"a message for {self.shown} was given up after {len(self._waits) + 1} attempts")
                self._busy = False
                self._changed.notify_all()

    def _deliver(self, id: str, body: bytes) -> bool:
        for wait in (*self._waits, None):
            why = self._attempt(id, body)
            if not why:
                return True
            if why.startswith("gone"):
                self._log(f"{self.shown}: {why}")
                return False
            self._log(f"{self.shown}: {why}" + ("" if wait is None else f"; tried again in {wait:g} s"))
            with self._changed:
                until = time.monotonic() + (wait or 0) * random.uniform(0.8, 1.2)
                while not self._closed and (left := until - time.monotonic()) > 0:
                    self._changed.wait(left)
                if self._closed:
                    return False
        return False

    def _attempt(self, id: str, body: bytes) -> str:
        """Try once; why it failed, or ""."""
        import urllib.error
        import urllib.request

        class Straight(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args: Any, **kwargs: Any) -> None:
                return None  # what is signed goes to nobody else

        now = int(time.time())
        headers = {
            "content-type": "application/json", "user-agent": "plg", "webhook-id": id, "webhook-timestamp": str(now),
            "webhook-signature": signature(self._key, id, now, body),
        }  # fmt: skip
        request = urllib.request.Request(self._webhook.url, body, headers, method="POST")
        try:
            with urllib.request.build_opener(Straight).open(request, timeout=TIMEOUT) as answer:
                answer.read(1)
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            return "gone: it wants no more messages (410)" if error.code == 410 else f"it answered {error.code}"
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            return hide_known(str(getattr(reason, "strerror", None) or reason)).lower()
