"""A private server for one run: started on a unix socket, gone with plg however plg goes."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from plg.queues.base import Job
from plg.targets import watchdog
from plg.targets.base import TargetError
from plg.targets.binary import find_binary
from plg.targets.client import load_client
from plg.targets.gate import Gate
from plg.targets.url import UrlTarget

_PREFIX = "plg-redis-"
_LOCK = "in-use"
_LONGEST_PATH = 103
"""Bytes of a unix socket's path that every system takes (Linux has 107, macOS 103)."""
_YOUNG = 60.0


class EmbeddedTarget(UrlTarget):
    """A server of plg's own. Its `url` is a ``unix://`` address that workers of any language can connect to."""

    kind: ClassVar[str] = "embedded"
    private: ClassVar[bool] = True

    def __init__(
        self,
        where: str,
        jobs: Sequence[Job],
        *,
        connect_timeout: float = 5.0,
        gate: Gate | None = None,
        force: bool = False,
    ) -> None:
        self._server = PrivateServer.start(find_binary(), deadline=connect_timeout, meanwhile=load_client)
        try:
            # A server of plg's own, which a policy knows by the word: its socket is no door to this machine's servers.
            super().__init__(self._server.url, jobs, connect_timeout=connect_timeout, force=force)
        except BaseException:
            self._server.stop()
            raise

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def close(self) -> None:
        """Stops the server and removes its folder, with every job that still waited in it."""
        self._server.stop()


class PrivateServer:
    """A server process without persistence, its folder, and the lifeline (`plg.targets.watchdog`) that ends both."""

    def __init__(self, folder: Path, keeper: subprocess.Popen[bytes], pid: int) -> None:
        self.folder = folder
        self.pid = pid
        self._keeper = keeper

    @property
    def url(self) -> str:
        return f"unix://{_socket_of(self.folder)}"

    @staticmethod
    def start(binary: Path, *, deadline: float = 5.0, meanwhile: Callable[[], None] = lambda: None) -> PrivateServer:
        """Starts ``binary`` and returns once it answers; ``meanwhile`` is called while it gets ready.

        Raises `TargetError` with the last lines of the server's log where it does not answer within ``deadline`` s
        after that.
        """
        folder, lock = _make_folder()
        try:
            keeper = _start_keeper(folder, lock, binary)
        except BaseException:
            _remove(folder)
            raise
        finally:
            os.close(lock)
        server = PrivateServer(folder, keeper, 0)
        try:
            meanwhile()
            until = time.monotonic() + deadline
            server.pid = server._read_pid(until)
            server._await_answer(until)
        except BaseException:
            server.stop()
            raise
        return server

    def stop(self) -> None:
        """Ends the server at once; it holds nothing that is meant to last. May be called twice."""
        keeper = self._keeper
        if keeper.stdin and keeper.stdout and not keeper.stdout.closed:
            keeper.stdin.close()
            # Its output ends with it. To wait for that is quicker than to look again and again whether it has ended.
            self._await_end(time.monotonic() + 5.0)
            keeper.stdout.close()
        try:
            keeper.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        _remove(self.folder)

    def _read_pid(self, until: float) -> int:
        line = self._line(until)
        if not line.strip().isdigit():
            raise TargetError("missing", f"the embedded server did not start{self._last_words()}")
        return int(line)

    def _await_answer(self, until: float) -> None:
        while not _answers(_socket_of(self.folder), until):
            if self._line(time.monotonic()):
                raise TargetError("missing", f"the embedded server ended at its start{self._last_words()}")
            if time.monotonic() >= until:
                raise TargetError("unreachable", f"the embedded server did not answer in time{self._last_words()}")
            time.sleep(0.002)

    def _line(self, until: float) -> bytes:
        """The next line of the lifeline, or nothing when none has come by ``until``."""
        assert self._keeper.stdout is not None
        descriptor = self._keeper.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        return os.read(descriptor, 64) if ready else b""

    def _await_end(self, until: float) -> None:
        """Reads what the lifeline may still have said, up to the end of its output."""
        assert self._keeper.stdout is not None
        descriptor = self._keeper.stdout.fileno()
        while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0] and os.read(descriptor, 64):
            pass

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()
            if lines:
                return ": " + " | ".join(line.strip() for line in lines[-3:])
        return ""


def _socket_of(folder: Path) -> Path:
    return folder / "s"


def _make_folder() -> tuple[Path, int]:
    """A fresh folder for a socket, and the lock that marks it as in use for as long as some process holds it open."""
    places = [Path(tempfile.gettempdir()), Path("/tmp")]
    for place in places:
        if len(os.fsencode(place / f"{_PREFIX}12345678" / "s")) <= _LONGEST_PATH:
            break
    _remove_leftovers(place)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    except OSError as error:
        raise TargetError("missing", f"no folder for the embedded server in {place}: {error.strerror}") from error
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _remove_leftovers(place: Path) -> None:
    """Removes folders of ours that no living process holds: those left where plg and its lifeline were both killed."""
    with suppress(OSError):
        for folder in place.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                status = folder.lstat()
                if status.st_uid != os.getuid() or time.time() - status.st_mtime < _YOUNG:
                    continue
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(folder)
                finally:
                    os.close(lock)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _start_keeper(folder: Path, lock: int, binary: Path) -> subprocess.Popen[bytes]:
    server = [
        str(binary), "--port", "0", "--unixsocket", str(_socket_of(folder)), "--unixsocketperm", "700",
        "--save", "", "--appendonly", "no", "--dir", str(folder),
    ]  # fmt: skip
    return subprocess.Popen(
        # Isolated and without site: it starts in a few milliseconds and nothing of the user's can be imported by it.
        [sys.executable, "-I", "-S", str(Path(watchdog.__file__)), str(folder), *server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(lock,),
        # A session of its own: Ctrl-C is for plg, which ends the server when the run has been recorded.
        start_new_session=True,
        bufsize=0,
    )


def _answers(path: Path, until: float) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(max(0.01, until - time.monotonic()))
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False
