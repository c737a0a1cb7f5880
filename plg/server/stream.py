"""The stream of one test to one client: what it missed first, then what is new, never more than it can take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from plg.server.history import Message
from plg.server.load_test import LoadTest

A_SECOND = 90.0
_AT_ONCE = 10
"""Messages that may leave together: with `A_SECOND` behind them never more than 100 in any second."""
PATIENCE = 30.0
"""Seconds without reading after which a client is closed."""
_BEHIND = 30
"""Messages that a client which had caught up may be behind before newer updates replace older ones."""
_PIECE = 50
_THINNED = 100
"""Rate updates that a client gets of the past where it does not say how far it knows it."""
UNKNOWN, FORBIDDEN, NO_TOKEN, TOO_SLOW, TOO_MANY = 4404, 4403, 4401, 4408, 4429


class Dropped:
    """Counts messages that a newer one took the place of, over all clients."""

    def __init__(self) -> None:
        self.count = 0


async def stream(socket: WebSocket, test: LoadTest, since: int | None, dropped: Dropped) -> None:
    """Send the messages after number ``since``, until the test is over or the client has gone. The socket is open."""
    changed = asyncio.Event()
    test.listeners.add(changed)
    sending = asyncio.create_task(_Outbox(socket, test, changed, dropped).run(since))
    hearing = asyncio.create_task(_gone(socket))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        test.listeners.discard(changed)
        for task in (sending, hearing):
            task.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)


async def _gone(socket: WebSocket) -> None:
    """Return when the client has closed; what it says is passed over."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return


class _Outbox:
    """What is still to be sent is a number in the test's messages: a slow client costs no memory."""

    def __init__(self, socket: WebSocket, test: LoadTest, changed: asyncio.Event, dropped: Dropped) -> None:
        self._socket, self._test, self._changed, self._dropped = socket, test, changed, dropped
        self._allowed, self._counted_at = float(_AT_ONCE), asyncio.get_running_loop().time()

    async def run(self, since: int | None) -> None:
        """Send until the completion was sent or nothing can be."""
        sent, caught_up = since or 0, False
        if since is None:
            messages = self._test.messages.after(0)
            sent, caught_up = messages[-1].seq if messages else 0, True
            for message in thinned(messages):
                await self._send(message)
                if message.kind == "completion":
                    await self._close(1000, "the test is over")
                    return
        while True:
            self._changed.clear()
            waiting = self._test.messages.after(sent, None if caught_up else _PIECE)
            if not waiting:
                caught_up = True
                if self._test.ended:
                    await self._close(1000, "the test is over")
                    return
                await self._changed.wait()
                continue
            if caught_up and len(waiting) > _BEHIND:
                kept = newest(waiting)
                self._dropped.count += len(waiting) - len(kept)
                waiting = kept
            for message in waiting:
                await self._send(message)
                sent = message.seq
                if message.kind == "completion":
                    await self._close(1000, "the test is over")
                    return

    async def _send(self, message: Message) -> None:
        loop = asyncio.get_running_loop()
        self._allowed = min(_AT_ONCE, self._allowed + (loop.time() - self._counted_at) * A_SECOND)
        self._counted_at = loop.time()
        if self._allowed < 1.0:
            await asyncio.sleep((1.0 - self._allowed) / A_SECOND)
            self._allowed += (loop.time() - self._counted_at) * A_SECOND
            self._counted_at = loop.time()
        self._allowed -= 1.0
        try:
            async with asyncio.timeout(PATIENCE):
                await self._socket.send_text(message.text)
        except TimeoutError:
            await self._close(TOO_SLOW, "nothing was read for 30 s")
            raise

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._socket.close(code, reason)


def newest(messages: Sequence[Message]) -> list[Message]:
    """All lasting messages, and of each transient kind the newest."""
    last = {message.kind: message.seq for message in messages if message.transient}
    return [message for message in messages if not message.transient or last[message.kind] == message.seq]


def thinned(messages: Sequence[Message]) -> list[Message]:
    """All lasting messages, and of the transient ones as many as draw the curve, the newest among them."""
    transient = [message for message in messages if message.transient]
    step = max(1, -(-len(transient) // _THINNED))
    kept = {message.seq for message in transient[::-step]} | {message.seq for message in newest(transient)}
    return [message for message in messages if not message.transient or message.seq in kept]
