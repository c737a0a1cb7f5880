"""Counting the answers to pipelined commands without building an object for each.

Only the replies that LPUSH, RPUSH and XADD give are known: ``:n``, ``+OK``, ``$len`` with its text, and ``-ERR words``
(RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/).
"""

from __future__ import annotations

Reply = tuple[int, str | None]
"""So many answers in a row that were fine (``error`` None), or one that was the error quoted."""


class ProtocolError(Exception):
    """The peer does not speak the protocol."""


class ReplyReader:
    """Feeds on bytes in any slices and gives answers in order, run-length encoded."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Reply]:
        """Answers completed by ``data``. Raises `ProtocolError` on anything that is not an expected reply."""
        buffer = self._rest + data if self._rest else data
        # Nearly every read is whole ":n" lines: their number is the number of line ends.
        if buffer.endswith(b"\r\n") and buffer[:1] == b":" and b"-" not in buffer and b"$" not in buffer:
            self._rest = b""
            return [(buffer.count(b"\r\n"), None)]
        return self._parse(buffer)

    def _parse(self, buffer: bytes) -> list[Reply]:
        replies: list[Reply] = []
        fine, position, size = 0, 0, len(buffer)
        while position < size:
            end = buffer.find(b"\r\n", position)
            if end < 0:
                break
            kind = buffer[position]
            if kind in b":+":
                fine, position = fine + 1, end + 2
            elif kind == 36:  # $: a bulk string follows
                digits = buffer[position + 1 : end]
                if not digits.removeprefix(b"-").isdigit():
                    raise ProtocolError(f"unexpected reply {buffer[position : position + 40]!r}")
                length = int(digits)
                after = end + 2 + (length + 2 if length >= 0 else 0)
                if after > size:
                    break
                fine, position = fine + 1, after
            elif kind == 45:  # -: an error
                if fine:
                    replies.append((fine, None))
                    fine = 0
                replies.append((1, buffer[position + 1 : end].decode("utf-8", "replace") or "an error without words"))
                position = end + 2
            else:
                raise ProtocolError(f"unexpected reply {buffer[position : position + 40]!r}")
        if fine:
            replies.append((fine, None))
        self._rest = buffer[position:]
        if len(self._rest) > 1 << 16:
            raise ProtocolError("a reply without an end")
        return replies
