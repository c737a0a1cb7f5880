"""A real master with replicas and its Sentinels on the loopback interface, and what a test does to them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from support.real_servers import RealServer, free_port

DOWN_AFTER_MS = 500


class RealSentinels:
    """A master with a replica or more, and an odd number of Sentinels that watch it under the ``name``.

    ``start`` is `real_servers.launcher`'s. ``options`` are those of the servers, ``auth`` the password that the master
    asks for, ``own`` that of the Sentinels.
    """

    def __init__(self, start, program, *options: str, replicas=1, size=3, name="shop", auth="", own="") -> None:
        self.name, self.auth, self.own = name, auth, own
        lock = ("--requirepass", auth, "--masterauth", auth) if auth else ()
        common = ("--repl-diskless-sync-delay", "0", *lock, *options)
        self.servers: list[RealServer] = [start(program, *common)]
        for _ in range(replicas):
            self.servers.append(start(program, *common, "--replicaof", "127.0.0.1", str(self.servers[0].port)))
        self.sentinels = [_Sentinel(program, self) for _ in range(size)]
        try:
            self.await_agreement()
        except BaseException:
            self.stop()
            raise

    @property
    def master(self) -> RealServer:
        """The server that the first living Sentinel calls the master."""
        port = self.sentinels[0].master_port()
        return next(server for server in self.servers if server.port == port)

    def url(self, userinfo="", database=0, query="") -> str:
        """With the password of the master, unless given another."""
        userinfo = userinfo or (f":{self.auth}" if self.auth else "")
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        tail = f"?{query}" if query else ""
        return f"redis+sentinel://{userinfo + '@' if userinfo else ''}{places}/{self.name}/{database}{tail}"

    def await_agreement(self, seconds: float = 60.0) -> None:
        """Until each Sentinel knows of the others and of the replicas, trusts its clock (one that stood still does not,
        for half a minute), and the replicas have all of the master's data."""
        others = (str(len(self.sentinels) - 1), str(len(self.servers) - 1))
        await_that(
            lambda: (
                all((each.fact("num-other-sentinels"), each.fact("num-slaves")) == others for each in self.sentinels)
                and all("sentinel_tilt:0" in str(each.said("INFO", "sentinel")) for each in self.sentinels)
                and all(self._follows(server) for server in self.servers if server is not self.master)
            ),
            seconds,
        )

    def _follows(self, server: RealServer) -> bool:
        return self.replication(server).get("master_link_status") == "up"

    def replication(self, server: RealServer) -> dict[str, object]:
        """What a server says of its part."""
        with contextlib.closing(self.client(server.port)) as client:
            return dict(client.info("replication"))

    def client(self, port: int):
        """A client of the test's own."""
        import redis

        return redis.Redis(port=port, password=self.auth or None, decode_responses=True, socket_timeout=5, protocol=2)

    def fail_over(self) -> None:
        """Have the Sentinels make the replica the master, while the old one lives. They may find it unfit at first."""
        before, first = self.master.port, self.sentinels[0]
        for _ in range(30):
            first.said("SENTINEL", "FAILOVER", self.name)
            with contextlib.suppress(AssertionError):
                return await_that(lambda: first.master_port() != before, 2)
        raise AssertionError(first.said("SENTINEL", "FAILOVER", self.name))

    def kill_master(self) -> RealServer:
        """End the master at once: what it had was in its memory alone."""
        master = self.master
        master.process.send_signal(signal.SIGKILL)
        master.process.wait()
        return master

    def await_other_master(self, than: RealServer, seconds: float = 30.0) -> RealServer:
        """The new master, once the Sentinels name it and it says that it is one."""
        await_that(lambda: all(each.master_port() != than.port for each in self.sentinels), seconds)
        master = self.master
        await_that(lambda: self.replication(master)["role"] == "master", seconds)
        return master

    def stop(self) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()


class _Sentinel:
    def __init__(self, program, of: RealSentinels) -> None:
        self._of = of
        self.folder = Path(tempfile.mkdtemp(prefix="plgs-", dir="/tmp"))
        self.port = free_port()
        lines = [
            f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}",
            f"sentinel monitor {of.name} 127.0.0.1 {of.servers[0].port} 2",
            f"sentinel down-after-milliseconds {of.name} {DOWN_AFTER_MS}", f"sentinel failover-timeout {of.name} 5000",
        ]  # fmt: skip
        lines += [f"sentinel auth-pass {of.name} {of.auth}"] if of.auth else []
        lines += [f"requirepass {of.own}", f"sentinel sentinel-pass {of.own}"] if of.own else []
        file = self.folder / "sentinel.conf"
        file.write_text("\n".join(lines) + "\n")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen([str(program), str(file), "--sentinel"], stdout=log, stderr=log)

    def said(self, *words):
        import redis

        with contextlib.closing(
            redis.Redis(
                port=self.port, password=self._of.own or None, decode_responses=True, socket_timeout=5, protocol=2
            )
        ) as client:
            client.response_callbacks.clear()
            try:
                return client.execute_command(*words)
            except redis.exceptions.RedisError as error:
                return str(error)

    def master_port(self) -> int:
        return int(self.said("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._of.name)[1])

    def fact(self, name: str) -> str:
        answer = self.said("SENTINEL", "MASTER", self._of.name)
        return str(dict(zip(answer[::2], answer[1::2], strict=True)).get(name)) if isinstance(answer, list) else ""

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def await_that(holds, seconds: float) -> None:
    """Until the condition holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that in time"
        time.sleep(0.05)
