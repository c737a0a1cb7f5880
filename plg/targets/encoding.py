"""Jobs as bytes on the wire: the commands of a recipe for each job, or one command for many jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.language.payload import Template
from plg.language.spelling import JSON, JSON_TEXT, PICKLE, TEXT, Spelling, Text
from plg.queues.recipe import Measured, Recipe, Slot, Spelled, Word, varint
from plg.targets.rows import Bytes, RowWriter, Sized, single
from plg.targets.rows import Word as RowWord

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Piece = bytes | memoryview
"""Of a memory view the bytes count one by one."""
Compile = Callable[[object, Spelling], Template]
"""Compiles a value with templates in it, for one kind of job of one run."""
_SPELLINGS: dict[str, Spelling] = {"json": JSON, "text": TEXT, "json_text": JSON_TEXT, "pickle": PICKLE}

FEWEST_ROWS = 6
"""Below so many jobs, making them one by one is quicker than setting up a matrix."""


class Command(NamedTuple):
    """The bytes for one ``key``, in ``pieces``, and the due times of their jobs.

    ``replies`` is the number of answers that each job will have; 0 where one answer stands for all of them. Pieces may
    lie where the next batch will be made: they are to be sent, or copied, before.
    """

    pieces: Sequence[Piece]
    due: Floats
    replies: int
    key: str = ""

    @property
    def data(self) -> bytes:
        """All pieces in one."""
        return b"".join(self.pieces)

    @property
    def expected(self) -> int:
        """How many answers there will be."""
        return self.replies * len(self.due) or 1


PAUSE = None
Parcels = Iterator[list[Command] | None]
"""The commands of one group of jobs after the other. In between, `PAUSE` comes where a piece of the work is done."""


def parcels(made: Parcels) -> Iterator[list[Command]]:
    """The same without pauses."""
    return (commands for commands in made if commands is not PAUSE)


def bulk(value: bytes) -> bytes:
    """One RESP bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


class JobEncoder:
    """Encodes batches for one run. ``kinds`` are those of the scenario's jobs, in their order.

    ``step`` is the distance between two sequence numbers: 1, or the number of shards.
    """

    def __init__(self, kinds: Sequence[Kind], step: int = 1) -> None:
        # Of several kinds or shards, each gets only some of the numbers.
        consecutive = len(kinds) == 1 and step == 1
        self._places = list(dict.fromkeys(kind.place for kind in kinds))
        self._place_of = np.array([self._places.index(kind.place) for kind in kinds])
        self._kinds = kinds
        self._rows = [kind.rows(consecutive) for kind in kinds]
        self._single = [
            int(np.flatnonzero(self._place_of == index)[0]) if np.sum(self._place_of == index) == 1 else None
            for index in range(len(self._places))
        ]

    def encode(
        self,
        seq: Ints,
        due: Floats,
        kind: npt.NDArray[np.intp],
        ends: Sequence[int],
        walls: Sequence[float],
        phases: Iterable[str],
    ) -> Parcels:
        """The commands of each group of jobs: group i ends before job ``ends[i]`` and leaves at ``walls[i]``.

        Within a group, commands are by key, each key's jobs in due order. ``phases`` names each job's phase.
        """
        if len(self._places) == 1:
            yield from self._at(0, seq, due, kind, ends, walls, phases)
            return
        names = list(phases)
        place = self._place_of[kind]
        parts: list[Iterator[list[Command]]] = []
        for index in range(len(self._places)):
            chosen = np.flatnonzero(place == index)
            if len(chosen):
                some = (names[i] for i in chosen.tolist())
                cuts = np.searchsorted(chosen, ends).tolist()
                parts.append(parcels(self._at(index, seq[chosen], due[chosen], kind[chosen], cuts, walls, some)))
                yield PAUSE
        for groups in zip(*parts, strict=True):
            yield [command for commands in groups for command in commands]

    def _at(
        self,
        index: int,
        seq: Ints,
        due: Floats,
        kind: npt.NDArray[np.intp],
        ends: Sequence[int],
        walls: Sequence[float],
        phases: Iterable[str],
    ) -> Parcels:
        place, only = self._places[index], self._single[index]
        rows = None if only is None else self._rows[only]
        if rows is not None and len(seq) >= FEWEST_ROWS:
            numbered = rows.numbered(seq)
            yield PAUSE
            stamped = rows.stamped(numbered, ends, walls)
            yield PAUSE
            yield from place.from_rows(stamped, ends, due)
            return
        jobs = zip(seq.tolist(), kind.tolist(), phases, strict=False)
        start = 0
        for end, wall in zip(ends, walls, strict=True):
            made = [self._kinds[k].encode(s, wall, phase) for s, k, phase in islice(jobs, end - start)]
            yield place.from_values(made, due[start:end])
            start = end


@dataclass(frozen=True, slots=True)
class Place:
    """A key in Redis, and how jobs are put there.

    Where one command takes up to ``jobs_a_command`` jobs, ``head`` are the words that stand before those of the jobs,
    of which each has ``words``. ``replies`` is the number of answers a job, 0 where one answer stands for many.
    """

    key: str
    head: tuple[bytes, ...]
    jobs_a_command: int
    words: int
    replies: int
    heads: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    def from_values(self, values: list[bytes], due: Floats) -> list[Command]:
        """The commands of a group of jobs made one by one."""
        size = self.jobs_a_command if self.head else len(values)
        return [
            self._command([b"".join(values[at : at + size])], due[at : at + size])
            for at in range(0, len(values), size or 1)
        ]

    def from_rows(self, matrices: Sequence[Bytes], ends: Sequence[int], due: Floats) -> Iterator[list[Command]]:
        """The commands of groups of jobs made many at once."""
        if len(ends) == 1:
            yield self._from_whole(matrices, due)
            return
        text = b"".join([rows.data for rows in matrices])
        ends_of_rows = _ends_of_rows(matrices)
        start, most = 0, self.jobs_a_command if self.head else len(due)
        for end in ends:
            if start < end <= start + most and self.head:
                # As nearly always, and at every departure: what follows would do the same, more slowly.
                pieces = (self.opening(end - start), text[ends_of_rows[start] : ends_of_rows[end]])
                yield [Command(pieces, due[start:end], 0, self.key)]
                start = end
                continue
            commands = []
            while start < end:
                stop = min(end, start + most)
                commands.append(self._command([text[ends_of_rows[start] : ends_of_rows[stop]]], due[start:stop]))
                start = stop
            yield commands

    def _from_whole(self, matrices: Sequence[Bytes], due: Floats) -> list[Command]:
        # One large group: the rows are sent from where they are.
        most = self.jobs_a_command
        if not self.head or len(due) <= most:
            return [self._command([_bytes_of(rows) for rows in matrices], due)]
        commands: list[Command] = []
        pieces: list[Piece] = []
        start, room = 0, most
        for rows in matrices:
            while len(rows) >= room:
                pieces.append(_bytes_of(rows[:room]))
                commands.append(self._command(pieces, due[start : start + most]))
                rows, pieces = rows[room:], []
                start, room = start + most, most
            if len(rows):
                pieces.append(_bytes_of(rows))
                room -= len(rows)
        if pieces:
            commands.append(self._command(pieces, due[start:]))
        return commands

    def _command(self, pieces: Sequence[Piece], due: Floats) -> Command:
        return Command((self.opening(len(due)), *pieces) if self.head else pieces, due, self.replies, self.key)

    def opening(self, jobs: int) -> bytes:
        """What stands before the words of so many jobs; there are few of them, and they are asked for often."""
        made = self.heads.get(jobs)
        if made is None:
            words = len(self.head) + jobs * self.words
            made = self.heads[jobs] = b"*%d\r\n" % words + b"".join(map(bulk, self.head))
        return made


def _bytes_of(rows: Bytes) -> memoryview:
    """The bytes of whole rows one behind the other, where they are."""
    return rows.data.cast("B")


def _ends_of_rows(matrices: Sequence[Bytes]) -> Sequence[int]:
    """Where each row ends in the text of all of them, after a 0 for where the first begins."""
    if len(matrices) == 1:
        count, length = matrices[0].shape
        return range(0, count * length + 1, length)
    lengths = np.repeat([rows.shape[1] for rows in matrices], [len(rows) for rows in matrices])
    return [0, *np.cumsum(lengths).tolist()]


_Plain = bytes | Slot | Text


@dataclass(frozen=True, slots=True)
class _Length:
    """Pieces whose length stands before them."""

    pieces: tuple[_Plain, ...]


_Fill = _Plain | _Length


class Kind:
    """One kind of job: its recipe with all values compiled, for the ``key`` that it is put to."""

    def __init__(self, recipe: Recipe, key: str, compile_value: Compile) -> None:
        self._parts: list[bytes | tuple[_Fill, ...]] = []
        several = recipe.jobs_a_command > 1
        head: tuple[bytes, ...] = ()
        words = 0
        for command in recipe.commands:
            filled = [_filled(word, compile_value) for word in command]
            if several:
                head = tuple(b"".join(map(_constant, word)) for word in filled[: recipe.shared])
            else:
                self._parts.append(b"*%d\r\n" % len(filled))
            self._parts += filled[len(head) :]
            words = len(filled) - len(head)
        self.place = Place(key, head, recipe.jobs_a_command, words, 0 if several else len(recipe.commands))
        self._singly = [part if isinstance(part, bytes) else [_piece(piece) for piece in part] for part in self._parts]

    def rows(self, consecutive: bool) -> RowWriter | None:
        """What makes many jobs at once; None where a template in them is more than a slot."""
        parts: list[bytes | RowWord] = []
        for part in self._parts:
            if isinstance(part, bytes):
                parts.append(part)
                continue
            word = _slots_alone(part)
            if word is None:
                return None
            parts.append(word)
        return RowWriter(parts, consecutive=consecutive)

    def encode(self, seq: int, wall: float, phase: str) -> bytes:
        """The words of one job, with its commands' own beginnings where it has commands of its own."""
        return b"".join(
            [
                part
                if isinstance(part, bytes)
                else bulk(b"".join([p if isinstance(p, bytes) else p(seq, wall, phase) for p in part]))
                for part in self._singly
            ]
        )


_Single = Callable[[int, float, str], bytes]


def _piece(piece: _Fill) -> bytes | _Single:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, Slot):
        return single(piece)
    if isinstance(piece, _Length):
        inner = [_piece(each) for each in piece.pieces]

        def measured(seq: int, wall: float, phase: str) -> bytes:
            text = b"".join([each if isinstance(each, bytes) else each(seq, wall, phase) for each in inner])
            return varint(len(text)) + text

        return measured
    return lambda seq, wall, phase: piece(seq, wall, phase).encode()


def _filled(word: Word, compile_value: Compile) -> tuple[_Fill, ...]:
    """The word with its values compiled."""
    found: list[_Fill] = []
    for measured, pieces in groupby(word, lambda piece: isinstance(piece, Measured)):
        if measured:
            found += [_Length(_plain(each.pieces, compile_value)) for each in pieces if isinstance(each, Measured)]
        else:
            found += _plain([each for each in pieces if not isinstance(each, Measured)], compile_value)
    return tuple(found)


def _plain(pieces: Iterable[bytes | Slot | Spelled], compile_value: Compile) -> tuple[_Plain, ...]:
    """Pieces with their values compiled, neighbouring constants as one."""
    found: list[_Plain] = []
    for piece in pieces:
        made = compile_value(piece.value, _SPELLINGS[piece.form]).pieces if isinstance(piece, Spelled) else (piece,)
        for each in made:
            fill = each.encode() if isinstance(each, str) else each
            if isinstance(fill, bytes) and found and isinstance(found[-1], bytes):
                found[-1] += fill
            elif fill != b"":
                found.append(fill)
    return tuple(found)


def _slots_alone(word: Sequence[_Fill]) -> RowWord | None:
    """The word, where all that changes in it are slots; else None."""
    found: list[bytes | Slot | Sized] = []
    for piece in word:
        if isinstance(piece, _Length):
            inner = tuple(each for each in piece.pieces if isinstance(each, bytes | Slot))
            if len(inner) < len(piece.pieces):
                return None
            found.append(Sized(inner))
        elif isinstance(piece, bytes | Slot):
            found.append(piece)
        else:
            return None
    return tuple(found)


def _constant(piece: _Fill) -> bytes:
    assert isinstance(piece, bytes), "only constants stand before the jobs"
    return piece
