"""All that a server holds, for its routes."""

from __future__ import annotations

from plg.dataclass import dataclass
from plg.server.callers import Access
from plg.server.idempotency import Repeats
from plg.server.load_tests import LoadTests
from plg.server.profiles import Profiles
from plg.server.records import Records
from plg.server.rendering import Rendering
from plg.server.stream import Dropped


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one server."""

    tests: LoadTests
    records: Records
    access: Access
    rendering: Rendering
    repeats: Repeats
    dropped: Dropped
    profiles: Profiles
