"""What `plg doctor` found, for a terminal or a log: one line a queue where there is room, else a few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from plg.reports.terminal import paint, plain, remark
from plg.reports.text_width import columns, pad
from plg.targets.doctor.diagnosis import Diagnosis, FoundQueue
from plg.units import counted, format_duration, format_size

_COUNTS = ("waiting", "in flight", "delayed", "dead", "oldest", "workers")
_UNKNOWN = "-"
_LABEL = 12


def drawn(found: Diagnosis, *, width: int, colour: bool = False, ascii_only: bool = False) -> list[str]:
    """The lines of a diagnosis within ``width`` columns, as far as names allow."""
    lines = [_heading(found, colour)]
    for label, text in _facts(found):
        lines += _wrapped(label, text, width)
    lines += ["", *_queues(found.queues, width, colour)]
    if found.warnings:
        lines.append("")
    for each in found.warnings:
        lines += remark(f"warning[{each.code}]:", each.message, width, colour)
    return [plain(line, ascii_only) for line in lines]


def _heading(found: Diagnosis, colour: bool) -> str:
    server = " ".join(filter(None, (found.server.name, found.server.version)))
    return f"{paint(server, 'bold', colour)} at {found.target}"


def _facts(found: Diagnosis) -> Iterator[tuple[str, str]]:
    server = found.server
    kept = {"none": "none: a restart loses the queues", None: "not told"}
    yield "role", _role(found)
    yield "memory", _memory(found)
    yield "persistence", kept.get(server.persistence, str(server.persistence).upper())
    if server.answer is not None:
        yield "answers in", format_duration(server.answer)
    if server.clock_offset is not None and server.clock_error is not None:
        yield "clock", _clock(server.clock_offset, server.clock_error)
    allowed = {True: "yes", False: "no", None: "unknown"}[found.writing.allowed]
    yield "plg writes", f"{allowed}: {found.writing.how}"
    of = "" if found.looked.of in (None, found.looked.keys) else f" of {found.looked.of:,}"
    yield "looked at", f"{counted(found.looked.keys, 'key')}{of}, by {counted(found.looked.commands, 'command')}"


def _clock(offset: float, error: float) -> str:
    within = format_duration(error)
    if abs(offset) <= error:
        return f"as this machine's, within {within}"
    return f"{format_duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} this machine's, within {within}"


def _role(found: Diagnosis) -> str:
    role = found.server.role or "not told"
    if found.server.mode == "cluster":
        return f"{role}, of a cluster of {counted(found.server.nodes, 'node')} with slots"
    if role == "sentinel":
        return "Sentinel"
    return f"{role}, {'by its Sentinels' if found.server.mode == 'sentinel' else 'no cluster'}"


def _memory(found: Diagnosis) -> str:
    server = found.server
    if server.memory is None:
        return "not told"
    limit = f" of {format_size(server.memory_limit)}" if server.memory_limit else ", no limit"
    return f"{format_size(server.memory)}{limit}, maxmemory-policy {server.memory_policy or 'not told'}"


def _wrapped(label: str, text: str, width: int) -> list[str]:
    room = max(20, width - _LABEL - 4)
    lines, line = [], ""
    for word in text.split():
        if line and columns(f"{line} {word}") > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [f"  {pad(label if at == 0 else '', _LABEL)}  {each}" for at, each in enumerate([*lines, line])]


def _queues(found: Sequence[FoundQueue], width: int, colour: bool) -> list[str]:
    if not found:
        return ["  no queue was recognised, and there is no plain list or stream"]
    rows = [(each.kind, each.name, *_counts(each)) for each in found]
    heads = ("queue", "", *_COUNTS)
    sizes = [max(columns(row[at]) for row in (heads, *rows)) for at in range(len(heads))]
    lines: list[str]
    if sum(sizes) + 2 * len(sizes) <= width:
        lines = ["  " + _row(heads, sizes), *("  " + _row(row, sizes) for row in rows)]
        lines[0] = paint(lines[0], "dim", colour)
    else:
        lines = [line for row in rows for line in _stacked(row)]
    if any(each.queue.format.shared for each in found):
        lines.append("  * of all queues of that framework")
    return lines


def _row(row: Sequence[str], sizes: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    words = [pad(text, size) for text, size in zip(row[:2], sizes[:2], strict=True)]
    numbers = [" " * (size - columns(text)) + text for text, size in zip(row[2:], sizes[2:], strict=True)]
    return "  ".join([*words, *numbers]).rstrip()


def _stacked(row: Sequence[str]) -> list[str]:
    told = [f"{name} {text}" for name, text in zip(_COUNTS, row[2:], strict=True) if text != _UNKNOWN]
    return [f"  {row[0]} {row[1]}", *(f"    {', '.join(told[at : at + 2])}" for at in range(0, len(told), 2))]


def _counts(each: FoundQueue) -> tuple[str, ...]:
    told, shared = each.document(), each.queue.format.shared
    counts = [
        _UNKNOWN if told[name] is None else f"{told[name]:,}" + "*" * (name in shared)
        for name in ("waiting", "in_flight", "delayed", "dead")
    ]
    age, workers = told["oldest_age_s"], told["workers"]
    oldest = _UNKNOWN if age is None else format_duration(round(age, 1))
    return (*counts, oldest, _UNKNOWN if workers is None else f"{workers:,}")
