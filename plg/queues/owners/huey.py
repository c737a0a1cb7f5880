"""huey: a list ``huey.redis.NAME`` of pickled messages. An empty one bears no mark but its name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from plg.queues.owners.base import Spelling, Unmarked

_OWN = re.compile(r"huey\.(redis|schedule|results|counters|notify|[rc])\.(?P<name>.+)")


class Huey(Unmarked):
    """See the top of the file."""

    kinds = frozenset({"huey"})
    name = "huey"
    harm = "a worker cannot read the job, and drops it"
    surprises: Mapping[str, str] = {
        "delayed-in-the-list": "delayed tasks stay in the list, and count as waiting, until a consumer "
        "has looked at them"
    }

    def by_key(self, key: str) -> str | None:
        return "huey.redis.NAME is the name that huey gives to a queue" if _OWN.match(key) else None

    def by_value(self, value: bytes) -> str | None:
        return "a pickled huey message waits in it" if b"huey.registry" in value and b"Message" in value else None

    def spelling(self, key: str, kind: str) -> Spelling | None:
        found = _OWN.match(key)
        return None if found is None else Spelling("huey", found["name"])

    def named(self, key: str) -> Spelling | None:
        return self.spelling(key, "")
