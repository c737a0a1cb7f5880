"""The interlock that a server carries: whether it may be loaded, who shares its rate now, and whether all must stop.

Three keys of one slot. The string ``plg:allow`` is JSON that says what `Allowance` holds, and expires with it. The hash
``{plg:allow}:leases`` has a field for each run (or shard) that goes on: JSON with its ``rate`` (jobs/s), when it ends
unless it is renewed (``until_ms`` of the server's clock), its ``run`` and who it belongs to. The string
``{plg:allow}:stop`` is there while no run may go on: JSON that says who stopped them and why.

A lease is granted by the server, in one step with the look at the others: two runs that ask at once cannot both get
what is left. It ends with its holder, who renews it: at the latest `LEASE` seconds after a crash.
"""

from __future__ import annotations

import json
import math
from dataclasses import field, replace
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.targets.base import Target, TargetError
from plg.targets.client import Client, Command
from plg.targets.faults import explain
from plg.units import format_duration, format_rate

ALLOW = "plg:allow"
LEASES = "{plg:allow}:leases"
STOP = "{plg:allow}:stop"
LEASE = 10.0
"""Seconds for which a lease holds without being renewed."""
_CONNECT, _ANSWER = 5.0, 5.0

_GRANT = """
local leases, allow, stop = KEYS[1], ARGV[8], ARGV[9]
local id, rate, lasting, about = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local budget, tests, needed = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told = redis.call('GET', stop)
if told then redis.call('HDEL', leases, id) return {'stopped', told, '0'} end
local text = redis.call('GET', allow)
if not text and needed then redis.call('HDEL', leases, id) return {'absent', '', '0'} end
if text then
  local good, found = pcall(cjson.decode, text)
  if not good or type(found) ~= 'table' or type(found['max_rate']) ~= 'number' then return {'unreadable', '', '0'} end
  budget = math.min(budget, found['max_rate'])
end
local taken, runs, count, own = 0, {}, 0, 0
local mine = cjson.decode(about)
runs[mine['run']] = true
local entries = redis.call('HGETALL', leases)
for at = 1, #entries, 2 do
  local good, entry = pcall(cjson.decode, entries[at + 1])
  good = good and type(entry) == 'table' and type(entry['rate']) == 'number' and type(entry['until_ms']) == 'number'
  if not good then return {'unreadable', '', '0'} end
  if entry['until_ms'] <= now then redis.call('HDEL', leases, entries[at])
  elseif entries[at] ~= id then
    taken = taken + entry['rate']
    local run = tostring(entry['run'])
    if not runs[run] then
      runs[run] = true
      count = count + 1
      if entry['account'] == mine['account'] then own = own + 1 end
    end
  end
end
local left = string.format('%.17g', budget - taken)
if rate > budget * (1 + 1e-9) then redis.call('HDEL', leases, id) return {'over', text or '', left} end
if taken + rate > budget * (1 + 1e-9) then redis.call('HDEL', leases, id) return {'taken', text or '', left} end
if count >= tests then redis.call('HDEL', leases, id) return {'crowded', text or '', tostring(count)} end
if own >= tonumber(ARGV[10]) then redis.call('HDEL', leases, id) return {'own', text or '', tostring(own)} end
mine['until_ms'] = now + lasting
redis.call('HSET', leases, id, cjson.encode(mine))
redis.call('PEXPIRE', leases, lasting)
return {'granted', text or '', left}
"""
Answer = Literal["granted", "stopped", "absent", "over", "taken", "crowded", "own", "unreadable"]
# The other two keys are no KEYS of the script, which would need the right to write all of them; they lie in one slot.
_FREE = 1e300
"""A budget (jobs/s) or a number of tests where there is no bound."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What the policy asks of a server beside its ceilings.

    ``required`` names the rule by which the server must carry an allowance, "" where none does. ``budget`` (jobs/s)
    bounds the rates of all runs there together, ``tests`` how many go on at a time, ``own_tests`` how many of one
    account; ``sources`` are the rules of these three. A guardrail that stops the run stops all others there for
    ``latch`` seconds (infinite: until they are resumed; 0: it does not).
    """

    required: str = ""
    budget: float = math.inf
    tests: float = math.inf
    own_tests: float = math.inf
    sources: tuple[str, str, str] = ("", "", "")
    latch: float = 0.0

    @property
    def asks(self) -> bool:
        """Whether there is anything that the server has to be asked for."""
        return bool(self.required) or any(map(math.isfinite, (self.budget, self.tests, self.own_tests)))

    def within(self, budget: float, tests: float, own_tests: float, source: str) -> Demand:
        """The same with each bound lowered to these."""
        before, after = (self.budget, self.tests, self.own_tests), (budget, tests, own_tests)
        bounds = tuple(map(min, before, after))
        sources = [source if new < old else kept for old, new, kept in zip(before, after, self.sources, strict=True)]
        return replace(
            self, budget=bounds[0], tests=bounds[1], own_tests=bounds[2], sources=(sources[0], sources[1], sources[2])
        )


NOTHING = Demand()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a server lets runs do: ceilings in the units of `plg.scenario.Guardrails`, ``max_rate`` for all of them
    together; ``by`` whom it was given; ``until`` is in seconds since the epoch, by the server's clock."""

    max_rate: float
    until: float
    max_total_jobs: float = math.inf
    max_duration: float = math.inf
    by: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON has it, without the bounds that there are not."""
        told = {"max_rate": self.max_rate, "max_total_jobs": self.max_total_jobs, "max_duration_s": self.max_duration}
        return {
            **{name: value for name, value in told.items() if math.isfinite(value)},
            "until": self.until,
            "by": self.by,
        }

    @staticmethod
    def read(text: bytes | str) -> Allowance:
        """What `document` gave. Raises `TargetError` where it is something else: then nobody knows what is allowed."""
        try:
            told = json.loads(text)
            figures = [float(told.get(name, math.inf)) for name in ("max_rate", "max_total_jobs", "max_duration_s")]
            if not math.isfinite(figures[0]) or any(not figure > 0 for figure in figures):
                raise ValueError("no rate")
            return Allowance(figures[0], float(told["until"]), figures[1], figures[2], str(told.get("by", "")))
        except (ValueError, TypeError, LookupError, AttributeError):
            raise TargetError("forbidden", _UNREADABLE) from None

    def refusal(self, rate: float, jobs: int, lasting: float, now: float) -> str | None:
        """Why a run of this rate, so many jobs and so many seconds is not within it; None where it is."""
        if rate > self.max_rate * (1 + 1e-9):
            return f"it would send up to {format_rate(rate)}, {format_rate(self.max_rate)} are allowed"
        if jobs > self.max_total_jobs:
            return f"it would send {jobs:,} jobs, {self.max_total_jobs:,.0f} are allowed"
        if lasting > self.max_duration:
            return f"it may last {format_duration(lasting)}, {format_duration(self.max_duration)} are allowed"
        if now + lasting > self.until:
            left = format_duration(round(max(0.0, self.until - now), 1))
            return f"it may last {format_duration(lasting)}, and the allowance ends in {left}"
        return None


@dataclass(frozen=True, slots=True)
class Lease:
    """A share of the rate as it is asked for: ``id`` is unique, ``rate`` in jobs/s, the rest is for people."""

    id: str
    rate: float
    run: str
    about: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps({"rate": self.rate, "run": self.run, **self.about})


@dataclass(frozen=True, slots=True)
class Seen:
    """How a server stands: the allowance and the stop as they are written (None for none), the time (s) there."""

    allow: bytes | None
    stop: bytes | None
    now: float


class Interlock:
    """The interlock of an open target, over one connection of its own. It belongs to one thread at a time.

    All of it raises `TargetError`: of kind ``refused`` where this user may not do that.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client: Client | None = None

    def look(self) -> Seen:
        """The allowance and the stop."""
        allow, stop, time = self._ask(("GET", ALLOW), ("GET", STOP), ("TIME",))
        return Seen(allow, stop, int(time[0]) + int(time[1]) / 1e6)

    def peek(self) -> Seen:
        """`look` without the time."""
        allow, stop = self._ask(("GET", ALLOW), ("GET", STOP))
        return Seen(allow, stop, math.nan)

    def grant(self, lease: Lease, demand: Demand) -> tuple[Answer, bytes, float]:
        """Take or renew a lease: the answer, the allowance (of ``stopped`` the stop) and the rate that is left."""
        budget, tests, own = (repr(min(each, _FREE)) for each in (demand.budget, demand.tests, demand.own_tests))
        [[said, text, left]] = self._ask(
            ("EVAL", _GRANT, 1, LEASES, lease.id, repr(lease.rate), int(LEASE * 1000), lease.text(),
             budget, tests, int(bool(demand.required)), ALLOW, STOP, own)
        )  # fmt: skip
        answer: Answer = said.decode()
        return answer, text, float(left)

    def give_back(self, lease: Lease) -> None:
        """End a lease."""
        self._ask(("HDEL", LEASES, lease.id))

    def leases(self) -> list[dict[str, Any]]:
        """The runs that go on, each as it told of itself, with ``ends_in_s`` unless it renews its lease."""
        entries, time = self._ask(("HGETALL", LEASES), ("TIME",))
        now = int(time[0]) * 1000 + int(time[1]) / 1000
        found = []
        for text in entries[1::2]:
            try:
                told = json.loads(text)
                lasting = (float(told.pop("until_ms")) - now) / 1000
            except (ValueError, TypeError, LookupError, AttributeError):
                continue
            if lasting > 0:
                found.append({**told, "ends_in_s": round(lasting, 1)})
        return found

    def allow(self, allowance: Allowance, lasting: float) -> Allowance:
        """Let the server be loaded for so many seconds; the allowance as it was written."""
        until = round(self.look().now + lasting, 3)
        given = Allowance(
            allowance.max_rate, until, allowance.max_total_jobs, allowance.max_duration, allowance.by
        )  # fmt: skip
        self._ask(("SET", ALLOW, json.dumps(given.document()), "PX", math.ceil(lasting * 1000)))
        return given

    def withdraw(self) -> bool:
        """Take the allowance away; whether there was one."""
        return bool(self._ask(("DEL", ALLOW))[0])

    def stop(self, by: str, why: str, lasting: float | None) -> None:
        """Stop all runs and let none begin: for so many seconds, or until `resume`."""
        now = self.look().now
        text = json.dumps({"by": by, "why": why, "at": round(now, 3)})
        self._ask(("SET", STOP, text, *(("PX", math.ceil(lasting * 1000)) if lasting is not None else ())))

    def resume(self) -> bool:
        """Let runs begin again; whether they had been stopped."""
        return bool(self._ask(("DEL", STOP))[0])

    def stop_ends_in(self) -> float | None:
        """Seconds until a stop ends by itself; None where it does not, or there is none."""
        [left] = self._ask(("PTTL", STOP))
        return left / 1000 if left >= 0 else None

    def _ask(self, *commands: Command) -> list[Any]:
        if self._client is None:
            address = self._target.address
            if self._target.cluster is not None:
                address = self._target.cluster.holder(ALLOW) or address
            self._client = Client(address, connect_timeout=_CONNECT, answer_timeout=_ANSWER)
        try:
            answers = self._client.ask(commands)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise explain(answer, f"{self._client.address.shown}, {ALLOW},")
        except TargetError:
            self.close()  # in a cluster the key may be elsewhere by now
            raise
        return answers

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


_UNREADABLE = f"{ALLOW} of the server cannot be read, so nobody knows what is allowed there (plg target allow URL)"


def stop_words(text: bytes) -> tuple[str, str]:
    """Who stopped the runs of a server, and why, from what stands there."""
    try:
        told = json.loads(text)
        return str(told.get("by") or "somebody"), str(told.get("why") or "")
    except (ValueError, AttributeError):
        return "somebody", ""
