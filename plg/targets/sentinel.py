"""The Sentinels of a master: where it is now, and how long a change of it takes."""

from __future__ import annotations

import threading
from contextlib import suppress

from plg.targets.address import Address
from plg.targets.base import TargetError
from plg.targets.client import Client, Command
from plg.targets.dialing import Deadline
from plg.targets.faults import own_words

_PATIENCE = 1.0
"""Seconds that one of them gets for its answer, where nothing else is asked."""
_EVERY = 0.5
"""Seconds between two questions for the master while a run goes on."""
_SLACK = 15.0
"""Seconds that the Sentinels may take to agree on another master, once they have noticed that it is down."""
_DOWN_AFTER = 30.0
"""Seconds after which they notice that, unless told otherwise."""


def find_master(address: Address, deadline: Deadline) -> tuple[str, int]:
    """Host and port of the master of ``address``, as the first of its Sentinels that knows it says.

    Raises `TargetError` where none of them does, and `TimeoutError` once there is no time left.
    """
    told = _ask_each(address, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master), deadline)
    try:
        host, port = told
        place = host.decode(), int(port)
        address.roster.heard(place)
        return place
    except (ValueError, UnicodeDecodeError):
        words = "a Sentinel answers with no host and port"
        raise TargetError("refused", f"{address.shown} refused: {words}", _WHAT_LISTENS) from None


_WHAT_LISTENS = "check the ports: something else listens there"


class MasterWatch:
    """Asks the Sentinels now and then for the master, in a thread, while connections to it stand.

    A master that another server takes over from lives on for some seconds and confirms what it then throws away.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plg-sentinels", daemon=True)

    def start(self) -> None:
        """Begin, where there are Sentinels."""
        if self._address.sentinels:
            self._thread.start()

    def _run(self) -> None:
        deadline = Deadline()
        while not self._stopped.wait(_EVERY):
            deadline.set(_PATIENCE * len(self._address.sentinels))
            with suppress(TargetError, TimeoutError):
                find_master(self._address, deadline)

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_PATIENCE)


def failover_time(address: Address) -> float:
    """Seconds after which another master should have taken over from one that died; 0 where there are no Sentinels."""
    if not address.sentinels:
        return 0.0
    deadline = Deadline()
    deadline.set(_PATIENCE * len(address.sentinels))
    with suppress(TargetError, TimeoutError, ValueError):
        told = _ask_each(address, ("SENTINEL", "MASTER", address.master), deadline)
        found = dict(zip(told[::2], told[1::2], strict=False))
        return int(found[b"down-after-milliseconds"]) / 1000 + _SLACK
    return _DOWN_AFTER + _SLACK


def _ask_each(address: Address, command: Command, deadline: Deadline) -> list[bytes]:
    """The answer of the first Sentinel that has one; each gets its share of the time that is left."""
    trouble, passing = [], False
    for count, place in enumerate(address.sentinels):
        share = deadline.left() / (len(address.sentinels) - count)
        client = Client(place, connect_timeout=share, answer_timeout=share)
        client.limit(share)
        try:
            [answer] = client.ask([command])
        except TargetError as error:
            if error.kind == "forbidden":
                raise
            trouble.append(error.message)
            passing |= error.passing
            continue
        finally:
            client.close()
        if isinstance(answer, list):
            return answer
        words = f"it knows of no master {address.master!r}" if answer is None else own_words(answer)
        trouble.append(f"{place.shown}: {words}")
        passing |= words.startswith("IDONTKNOW")
    raise _nobody_knows(address, trouble, passing=passing)


def _nobody_knows(address: Address, trouble: list[str], *, passing: bool) -> TargetError:
    told = "; ".join(address.hide(words) for words in trouble)
    if passing:
        message = f"{address.shown} cannot be reached: no Sentinel tells where the master is ({told})"
        return TargetError("unreachable", message, _UP, passing=True, awaits=True)
    advice = next((advice for part, advice in _ADVICE if part in told), "SENTINEL MASTERS names those it knows")
    return TargetError("refused", f"{address.shown} refused: {told}", advice)


_UP = "are the Sentinels up? --wait 30s waits for them"
_OWN_PASSWORD = "a Sentinel has a password of its own: ?sentinel_password=PASSWORD (&sentinel_username=USER)"
_ADVICE = (
    ("NOAUTH", _OWN_PASSWORD),
    ("WRONGPASS", _OWN_PASSWORD),
    ("Authentication required", _OWN_PASSWORD),
    ("invalid password", _OWN_PASSWORD),
    ("without any password", "the Sentinels have no password: leave sentinel_password out of the URL"),
    ("unknown command", "this is no Sentinel: a server of its own is redis://HOST:PORT/DB"),
    ("no such subcommand", "this is no Sentinel: a server of its own is redis://HOST:PORT/DB"),
)
"""What the words hold → advice. The first that fits counts."""
