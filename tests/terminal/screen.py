"""A command in a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from types import TracebackType

from running import READER


class Terminal:
    """Runs `reader ARGV…` with its own controlling terminal of `rows` × `columns`; stdout goes to `stdout` if given.

    `seen` is every byte that the terminal was sent.
    """

    def __init__(
        self, *argv: str, environ: dict[str, str], rows: int = 24, columns: int = 80, stdout: Path | None = None
    ) -> None:
        self.seen = b""
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with (stdout or Path(os.devnull)).open("wb") as file:
            self.process = subprocess.Popen(
                [READER, *argv],
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

    def type(self, keys: bytes) -> None:
        os.write(self._main, keys)

    def wait_for(self, text: bytes, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
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
