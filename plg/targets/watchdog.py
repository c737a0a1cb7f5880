"""Keeps a private server alive exactly as long as plg, on its own: run as a script, it imports nothing of plg.

    python -I -S lifeline.py FOLDER BINARY ARGUMENT…

It starts the server, prints its process id, and waits. When its standard input ends (plg closed it, or is gone,
however it went) or its parent changes, it kills the server and removes FOLDER. A server that ends by itself is reported
by an empty line, and its folder stays until plg has read the log. Should this process be killed itself, the kernel
kills the server with it (Linux).
A process of its own, rather than that flag of the kernel alone, because the flag counts from the *thread* that started
the server, and other systems have none.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_SHIELDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals meant for plg, which ends this process when it is done itself."""
_WATCH = 0.5
"""Seconds between looks at the parent: the end of the input may be hidden where some other process inherited it."""


def _become_server(command: list[str], log: str, parent: int) -> None:
    """In the child: die with the parent, write to the log, be the server. Does not return."""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
        os.dup2(1, 2)
        if sys.platform == "linux":
            import ctypes

            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the kernel was told
                os._exit(1)
        for number in _SHIELDED:
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _watch(server: int, parent: int) -> bool:
    """Returns when plg is gone or wants the end; whether the server still ran then."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    running = True
    while os.getppid() == parent:
        if running and os.waitpid(server, os.WNOHANG) != (0, 0):
            running = False
            _say("")
        ready, _, _ = select.select([0, ended], [], [], _WATCH)
        if 0 in ready and not os.read(0, 1024):
            break
        if ended in ready:
            os.read(ended, 1024)
    return running


def _say(line: str) -> None:
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())


def _remove(folder: str) -> None:
    """The folder holds only files, unless a server of some other kind has made more of it."""
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208  # to import pathlib would take as long as shutil
            os.unlink(f"{folder}/{name}")  # noqa: PTH108  # likewise: no pathlib in this process
        os.rmdir(folder)  # noqa: PTH106  # likewise: no pathlib in this process
        return
    import shutil  # only here: plg waits for the end of this process, and it would take half of that time

    shutil.rmtree(folder, ignore_errors=True)


def main(folder: str, command: list[str]) -> None:
    for number in _SHIELDED:
        signal.signal(number, signal.SIG_IGN)
    parent, me = os.getppid(), os.getpid()
    server = os.fork()
    if server == 0:
        _become_server(command, f"{folder}/server.log", me)
    _say(str(server))
    if _watch(server, parent):
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    _remove(folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
