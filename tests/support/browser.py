"""A Chromium without a screen, driven over its DevTools protocol as a person drives it: addresses, keys and clicks."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def found_browser() -> str | None:
    """Path of a Chromium, where there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser with one page. What the page complains of, or may not load, is in ``complaints``."""

    def __init__(self, program: str, folder: Path, *flags: str) -> None:
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}", *flags,
            "about:blank",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._number = 0
        try:
            self._attach(folder / "DevToolsActivePort")
        except BaseException:
            self.process.kill()
            raise

    def _attach(self, told: Path) -> None:
        deadline = time.monotonic() + 60
        while not (told.is_file() and len(lines := told.read_text().split()) == 2):
            assert self.process.poll() is None, "the browser ended"
            assert time.monotonic() < deadline, "the browser opened no port"
            time.sleep(0.05)
        address = f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(address, proxy=None, max_size=None, ping_interval=None))
        self._session = ""
        [page] = [t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        asked = {"targetId": page["targetId"], "flatten": True}
        self._session = self.send("Target.attachToTarget", asked)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """One command and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": dict(parameters or {})}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            heard = json.loads(self._socket.recv(timeout=60))
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                return heard["result"]
            self._note(heard.get("method", ""), heard.get("params", {}))

    def _note(self, method: str, told: Mapping[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(told["url"])

    def go(self, address: str) -> None:
        self.send("Page.navigate", {"url": address})

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        found = self.send("Runtime.evaluate", asked)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str, patience: float = 60.0) -> Any:
        """The value of an expression once it is true."""
        deadline = time.monotonic() + patience
        while True:
            try:
                value = self.js(f"((value) => (value instanceof Node ? true : value))({expression})")
            except AssertionError as error:  # a page that is just being replaced
                value, complaint = None, str(error)
            else:
                complaint = ""
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {patience:g} s: {expression} {complaint} {self.complaints}"
            time.sleep(0.1)

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of what the selector finds."""
        place = self.until(
            f"(() => {{ const e = document.querySelector({selector!r}); if (!e || e.disabled) return null;"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return b.width ? [b.x + b.width / 2, b.y + b.height / 2] : null; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            at = {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", at)

    def type(self, text: str) -> None:
        self.send("Input.insertText", {"text": text})

    def key(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", {"type": kind, "key": key, **text})

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", {"features": [scheme]})

    def picture(self, into: Path, *, whole: bool = True) -> None:
        shot = self.send("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        into.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._open.close()
        self.process.terminate()
        self.process.wait(30)
