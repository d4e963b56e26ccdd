"""A command in a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from types import TracebackType

from running import READER

HOME = b"\x1b[H"
_SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    """Runs `program ARGV…` with its own controlling terminal of `rows` × `columns`; stdout goes to `stdout` if given.

    `seen` is every byte that the terminal was sent.
    """

    def __init__(
        self,
        *argv: str,
        environ: dict[str, str],
        rows: int = 24,
        columns: int = 80,
        stdout: Path | None = None,
        program: str = READER,
    ) -> None:
        self.seen = b""
        self._main, side = pty.openpty()
        self.resize(rows, columns)
        with (stdout or Path(os.devnull)).open("wb") as file:
            self.process = subprocess.Popen(
                [program, *argv],
                stdin=side,
                stdout=file if stdout else side,
                stderr=side,
                env={"TERM": "xterm-256color", **environ},
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        os.close(side)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)

    @property
    def cursor_hidden(self) -> bool:
        return self.seen.rfind(b"\x1b[?25l") > self.seen.rfind(b"\x1b[?25h")

    def type(self, keys: bytes) -> None:
        os.write(self._main, keys)

    def resize(self, rows: int, columns: int) -> None:
        """The kernel tells the foreground process (SIGWINCH). Pictures from before are not looked at any more."""
        self.rows, self._resized_at = rows, len(self.seen)
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> list[object]:
        """How the terminal is set (echo, line by line, …)."""
        return termios.tcgetattr(self._main)

    @property
    def picture(self) -> list[str]:
        """The lines of the last whole picture of a full screen, without colours; none before the first."""
        whole = [part for part in self.seen[self._resized_at :].split(HOME)[1:] if part.count(b"\n") >= self.rows - 1]
        lines = _SEQUENCE.sub(b"", whole[-1]).decode(errors="replace").split("\n") if whole else []
        return [line.rstrip("\r") for line in lines[: self.rows]]

    def wait_for_picture(self, *texts: str, without: str = "\0", seconds: float = 30) -> list[str]:
        """Until a picture holds all `texts`, and not `without`."""
        deadline = time.monotonic() + seconds
        while not (all(text in "\n".join(self.picture) for text in texts) and without not in "\n".join(self.picture)):
            assert self._read(deadline - time.monotonic()), f"{texts} never came, last: {chr(10).join(self.picture)}"
        return self.picture

    def wait_for(self, text: bytes, seconds: float = 60, *, times: int = 1) -> None:
        deadline = time.monotonic() + seconds
        while self.seen.count(text) < times:
            assert self._read(deadline - time.monotonic()), f"{text!r} never came; seen: {self.seen[-2000:]!r}"

    def finish(self, seconds: float = 60) -> int:
        """Reads to the end and returns the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._main], [], [], max(0.0, seconds))
        try:
            piece = os.read(self._main, 65536) if ready else b""
        except OSError:  # EIO: the last process that had it open is gone
            piece = b""
        self.seen += piece
        return bool(piece)
