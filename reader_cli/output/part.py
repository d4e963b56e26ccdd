"""FILE.part: what becomes FILE when it is whole, and what a later run goes on with when it isn't."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from reader_cli.env import BUFFER, Env
from reader_cli.errors import NothingToDo, UsageError
from reader_cli.output.text import LONGEST_PATH, harmless

_TAIL = 1 << 16  # bytes read at a time when a last line's end is looked for


class PartFile:
    """FILE.part, locked while it is open, and renamed to FILE when the block ends well.

    With `resume`, what an earlier run left in it is compared with what is written now, and written on where it ends;
    what comes after a difference is written again. With `resume` None nothing is kept of a block that fails.
    Everything raises UsageError where the file cannot be written, and NothingToDo while another process writes it.
    """

    def __init__(self, env: Env, path: Path, *, resume: bool | None) -> None:
        self._env = env
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._resumable = resume is not None
        self._whole = False
        self.path = self._target.with_name(self._target.name + ".part")
        with self._telling():
            self._file = _open_alone(self.path)
        self._left = self._file.seek(0, os.SEEK_END) if resume else 0  # bytes that are still to be compared
        self._file.seek(0)
        if not resume:
            self._file.truncate()

    def __enter__(self) -> PartFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: object) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._close()

    def write(self, data: bytes) -> None:
        try:
            self._file.write(self._beyond(data) if self._left else data)
        except OSError as error:
            raise self._refused(error) from None

    def flush(self) -> None:
        with self._telling():
            self._file.flush()

    # For who knows how to go on without writing it all again.

    @property
    def resumed(self) -> bool:
        """Whether an earlier run left something that is not compared yet."""
        return self._left > 0

    def old_lines(self) -> OldLines:
        """To be read before anything is written; then `go_on` or `start_again`."""
        return OldLines(self._file)

    def go_on(self, size: int) -> None:
        """Keeps the first `size` bytes as they are; the next are written after them."""
        self._cut(size)
        if size:
            self._say(f"going on after the {size:,} bytes of {self.path}")

    def start_again(self, size: int = 0) -> None:
        """Keeps the first `size` bytes alone, because what follows them is not what the server has now."""
        self._cut(size)
        self._say(f"{self.path} differs from the results as they are now: starting again")

    def _cut(self, size: int) -> None:
        with self._telling():
            self._file.seek(size)
            self._file.truncate()
        self._left = 0

    def _beyond(self, data: bytes) -> bytes:
        """What of `data` the earlier run did not write yet."""
        position = self._file.tell()
        old = self._file.read(min(len(data), self._left))
        if not data.startswith(old):
            self.start_again(position)
            return data
        self._left -= len(old)
        return data[len(old) :]

    def _commit(self) -> None:
        with self._telling():
            if self._left:
                self.start_again(self._file.tell())
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._target.exists():
                shutil.copymode(self._target, self.path)
            self.path.replace(self._target)
            self._whole = True
            _sync_folder(self._target.parent)

    def _close(self) -> None:
        """Without a commit FILE.part is kept if it is of any use. The lock is let go of last."""
        with suppress(OSError), self._file:  # a full disk was told already
            if self._whole:
                return
            with suppress(OSError):
                self._file.flush()
            if os.fstat(self._file.fileno()).st_size and self._resumable:
                self._say(f"{self.path} is kept; the same command with --resume goes on with it")
            else:
                self.path.unlink()

    def _say(self, sentence: str) -> None:
        self._env.say(f"reader: {harmless(sentence, LONGEST_PATH)}")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> UsageError:
        return UsageError(f"{self.path} cannot be written: {error.strerror or error}")


class OldLines:
    """The whole lines that an earlier run left, in order. `position` is the byte after those that were taken."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = _end_of_last_line(file)
        self.position = file.seek(0)

    @property
    def ended(self) -> bool:
        return self.position == self._end

    def take(self, limit: int, size: int) -> list[bytes]:
        """The next lines, `limit` or about `size` bytes at most, each with its newline."""
        taken: list[bytes] = []
        stop = min(self._end, self.position + size)
        while self.position < stop and len(taken) < limit:
            taken.append(self._file.readline())
            self.position += len(taken[-1])
        return taken


def _open_alone(path: Path) -> BinaryIO:
    """Opens without emptying, and locks: two that write one file would leave a mixture that looks whole."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+b", BUFFER)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        busy = not os.path.samestat(os.fstat(file.fileno()), path.stat())  # it was renamed before we had the lock
    except (BlockingIOError, FileNotFoundError):
        busy = True
    except OSError:  # a file system without locks
        busy = False
    if busy:
        file.close()
        raise NothingToDo(f"{path} is being written by another process right now")
    return file


def _end_of_last_line(file: BinaryIO) -> int:
    position = file.seek(0, os.SEEK_END)
    while position:
        start = file.seek(max(position - _TAIL, 0))
        if found := file.read(position - start).rfind(b"\n") + 1:
            return start + found
        position = start
    return 0


def _sync_folder(folder: Path) -> None:
    """So that the new name outlasts a power cut, too."""
    with suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
