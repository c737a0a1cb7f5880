"""A server of plg as the commands that talk to one see it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from plg.cli.files import usage_error
from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError, Span

USUAL = "http://127.0.0.1:8080/"
BASE = "api/v1/load-test"
_PATIENCE = 30.0
"""Seconds that an answer may take."""


class ServerRefusal(ScenarioError):
    """The server refused, with what its answer says; ``status`` is that of HTTP, ``code`` the word for programs."""

    def __init__(self, status: int, code: str, faults: list[Diagnostic]) -> None:
        super().__init__(faults)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class ServerClient:
    """Asks the server at ``url`` (ending in a slash); ``token`` may be empty."""

    url: str
    token: str

    @staticmethod
    def of(environ: Mapping[str, str] = os.environ) -> ServerClient:
        """The server of ``PLG_SERVER``, asked with ``PLG_TOKEN``. Raises `ScenarioError`."""
        url = (environ.get("PLG_SERVER") or USUAL).rstrip("/") + "/"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise usage_error("PLG_SERVER is not the URL of a server", f"for example PLG_SERVER={USUAL}")
        return ServerClient(url, environ.get("PLG_TOKEN", ""))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer to a request, a path below the API. Raises `ServerRefusal`, and `ScenarioError` without one."""
        data = None if body is None else json.dumps(body).encode()
        given = {"Accept": "application/json", **headers}
        if data is not None:
            given["Content-Type"] = "application/json"
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(f"{self.url}{BASE}/{path}", data, given, method=method)
        # No proxy of the environment: it would be shown the token.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            words = getattr(reason, "strerror", None) or str(reason)
            message = f"no plg server answers at {self.url}: {words.lower()}"
            raise usage_error(message, "start one with plg serve, or name it in PLG_SERVER") from None

    def messages(self, test_id: str, since: int | None = None) -> Iterator[Mapping[str, Any]]:
        """The messages of a test until it is over; after a dropped connection they go on where they were.

        Raises `ScenarioError` where the server lets nobody listen.
        """
        try:
            from websockets.exceptions import ConnectionClosed, InvalidHandshake
            from websockets.sync.client import connect
        except ImportError:
            raise usage_error("plg watch needs more than plg itself", "pip install 'patterned-load[server]'") from None
        place = f"{self.url.replace('http', 'ws', 1)}{BASE}/stream/{test_id}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        attempts = 0
        while True:
            query = "" if since is None else f"?since={since}"
            try:
                with connect(place + query, additional_headers=headers, proxy=None, open_timeout=_PATIENCE) as stream:
                    for text in stream:
                        message = json.loads(text)
                        since, attempts = message["seq"], 0
                        yield message
                        if message["type"] == "completion":
                            return
                    code = stream.close_code
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else None
            except (OSError, InvalidHandshake):
                code = None
            if code in _REFUSED:
                raise usage_error(_REFUSED[code].format(test_id))
            attempts += 1
            if attempts > _ATTEMPTS:
                raise usage_error(f"the connection to {self.url} was lost", "plg status asks again how the test stands")
            _pause(attempts)


_REFUSED = {
    4404: "there is no test {} that could be watched",
    4403: "this token may not watch {}",
    4401: "to watch {} a token is needed: set PLG_TOKEN",
}
_ATTEMPTS = 5


def _pause(attempts: int) -> None:
    import time

    time.sleep(min(2.0, 0.2 * 2**attempts))


def _refusal(error: urllib.error.HTTPError) -> ServerRefusal:
    """What a problem+json says, as faults."""
    try:
        found = json.loads(error.read())
        faults = [_fault(each) for each in found["faults"]]
        code, detail = str(found["code"]), str(found["detail"])
    except (OSError, ValueError, LookupError, TypeError):
        faults, code, detail = [], "server", f"the server answered {error.code} {error.reason}"
    return ServerRefusal(error.code, code, faults or [Diagnostic(code, detail, "<server>")])


def _fault(found: Mapping[str, Any]) -> Diagnostic:
    line, column = found["line"], found["column"] or 1
    span = Span(line, column, line, column) if line else None
    return Diagnostic(found["code"], found["message"], "<posted>", span, found["help"], path=tuple(found["path"]))
