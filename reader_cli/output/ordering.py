"""Putting lines in order without holding them: those that come too early wait on the disk (cli: --ordered)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO, NamedTuple

from reader_cli.errors import UsageError


class _Place(NamedTuple):
    offset: int
    size: int


def in_order(numbered: Iterable[tuple[int | None, bytes]], folder: Path | None) -> Iterator[tuple[int | None, bytes]]:
    """The lines by their numbers, from 0 on, each as soon as all before it were there; those without a number last, as
    they came. What waits lies in a nameless file in `folder` (the system's folder for such if None)."""
    try:
        with TemporaryFile(dir=folder) as file:
            yield from _sort(numbered, file)
    except OSError as error:
        where = folder or gettempdir()
        raise UsageError(f"pages that must wait for others cannot be kept in {where}: {error.strerror}") from None


def _sort(numbered: Iterable[tuple[int | None, bytes]], file: BinaryIO) -> Iterator[tuple[int | None, bytes]]:
    waiting: dict[int, _Place] = {}
    unnumbered: list[_Place] = []
    due = 0
    for number, line in numbered:
        if number is None:
            unnumbered.append(_store(file, line))
        elif number > due:
            waiting[number] = _store(file, line)
        else:
            yield number, line
            due += 1
            while due in waiting:
                yield due, _load(file, waiting.pop(due))
                due += 1
    for number in sorted(waiting):
        yield number, _load(file, waiting[number])
    for place in unnumbered:
        yield None, _load(file, place)


def _store(file: BinaryIO, line: bytes) -> _Place:
    offset = file.seek(0, os.SEEK_END)
    file.write(line)
    return _Place(offset, len(line))


def _load(file: BinaryIO, place: _Place) -> bytes:
    file.seek(place.offset)
    return file.read(place.size)
