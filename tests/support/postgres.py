"""A real PostgreSQL for tests: Debian's own, on a unix socket alone, started once for all tests of a process."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_NUMBERS = itertools.count(1)


def programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class Postgres:
    """A server that is started with nothing in it."""

    def __init__(self, folder: Path, bin: Path) -> None:
        self._folder, self._bin = folder, bin
        self.data = folder / "data"
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._run(
            "initdb", "--pgdata", str(self.data), "--auth=trust", "--username=postgres", "--no-sync", "-E", "UTF8"
        )
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        # initdb and the server refuse to be root.
        as_other = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        log = self._folder.parent / f"{self._folder.name}.log"
        with log.open("ab") as out:
            done = subprocess.run(
                [*as_other, str(self._bin / program), *arguments], cwd="/", stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, timeout=60, check=False,
            )  # fmt: skip
        assert done.returncode == 0, log.read_text()

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c fsync=off"
        self._run(
            "pg_ctl", "--pgdata", str(self.data), "--wait", "--log", str(self._folder / "log"), "-o", options, "start"
        )

    def stop(self) -> None:
        """End it at once, connections and all."""
        self._run("pg_ctl", f"--pgdata={self.data}", "--wait", "--mode", "immediate", "stop")

    def checkpoint(self) -> None:
        """Write all that it keeps in memory to its files."""
        import psycopg

        with psycopg.connect(f"host={self._folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def fresh(self) -> str:
        """The URL of an empty database of its own."""
        import psycopg

        name = f"plg{next(_NUMBERS)}"
        with psycopg.connect(f"host={self._folder} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self._folder}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server, on machines that have Debian's package ``postgresql`` or their own."""
    bin = programs()
    if bin is None or (os.getuid() == 0 and shutil.which("runuser") is None):
        pytest.skip("no PostgreSQL on this machine: Debian's package postgresql has one")
    folder = Path(tempfile.mkdtemp(prefix="plg-pg-"))
    server = Postgres(folder, bin)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.log").unlink(missing_ok=True)
