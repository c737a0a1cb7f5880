"""A fake server inside plg, for a look around where no server can be had. Not for measuring: it is slow and a model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

from plg.queues.base import Job
from plg.targets.base import Server, TargetError
from plg.targets.gate import Gate
from plg.targets.url import UrlTarget


class FakeTarget(UrlTarget):
    """fakeredis behind a free port of the loopback interface: the same wire as any other target."""

    kind: ClassVar[str] = "fake"
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
        self._fake, self._version = _start()
        self._thread = threading.Thread(
            target=self._fake.serve_forever, kwargs={"poll_interval": 0.05}, name="plg-fake", daemon=True
        )
        self._thread.start()
        host, port = self._fake.server_address[:2]
        try:
            # A server inside plg, which a policy knows by the word and not by its port.
            super().__init__(f"redis://{host}:{port}/0", jobs, connect_timeout=connect_timeout, force=force)
        except BaseException:
            self.close()
            raise

    @property
    def server(self) -> Server:
        return Server(self.kind, self._address.shown, "fakeredis", self._version)

    def close(self) -> None:
        """Stops the fake; what waited in it is gone."""
        self._fake.shutdown()
        self._fake.server_close()
        self._thread.join()


def _start() -> tuple[Any, str]:
    try:
        import fakeredis
    except ImportError:
        raise TargetError(
            "missing", "the fake target needs fakeredis: pip install fakeredis, or use --target embedded"
        ) from None
    from importlib.metadata import version

    return fakeredis.TcpFakeServer(("127.0.0.1", 0)), version("fakeredis")
