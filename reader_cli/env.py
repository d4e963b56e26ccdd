"""Every touch of the terminal, the environment and the clock. Tests build an `Env` of their own and patch nothing."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

BUFFER = 64 * 1024  # bytes: a write a page costs as much as reading it, because other threads read on meanwhile


@dataclass
class Env:
    """`stdout` takes bytes (data only), `stderr` takes text (talk only).

    `clock` is monotonic seconds, `now` unix seconds, `sleep` takes seconds. `quiet` silences the talk and
    `json_errors` makes the error report one JSON object; a command sets both from its options. `proxy` (a URL) and
    `ca_bundle` (a file) come from the options before the command.
    """

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: TextIO
    environ: Mapping[str, str]
    stdin_tty: bool = False
    stdout_tty: bool = False
    stderr_tty: bool = False
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    quiet: bool = False
    json_errors: bool = False
    proxy: str | None = None
    ca_bundle: str | None = None

    def say(self, line: str) -> None:
        """Writes one line of talk to stderr, unless quiet. `line` must already be harmless (output.text.harmless)."""
        if not self.quiet:
            self.stderr.write(line + "\n")
            self.stderr.flush()


# These are the buffers and not the files: a signal that came between a file's write and its buffer's taking note of it
# would have the same bytes written again.
class _Data(io.BufferedWriter):
    """stdout: what goes wrong tells where."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise self._told(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise self._told(error) from None

    def _told(self, error: OSError) -> OSError:
        error.filename = "standard output"
        discard(self)
        return error


class _Talk(io.BufferedWriter):
    """stderr: a full disk under a log file, or a terminal that is gone, must not end the work that is talked of."""

    def write(self, data: Any) -> int:
        with self._bearing():
            super().write(data)
        return len(data)

    def flush(self) -> None:
        with self._bearing():
            super().flush()

    @contextmanager
    def _bearing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            discard(self)
            raise
        except OSError:
            pass


def discard(stream: BinaryIO) -> None:
    """What was not written yet goes nowhere: at exit Python would try it again, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def from_process() -> Env:
    _open_closed()
    data = _Data(io.FileIO(1, "w", closefd=False), BUFFER)
    talk = _Talk(io.FileIO(2, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(data, sys.stdout.encoding, sys.stdout.errors)
    sys.stderr = io.TextIOWrapper(talk, sys.stderr.encoding, "backslashreplace", line_buffering=True)
    return Env(
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
        stderr=sys.stderr,
        environ=os.environ,
        stdin_tty=sys.stdin.isatty(),
        stdout_tty=sys.stdout.isatty(),
        stderr_tty=sys.stderr.isatty(),
    )


def _open_closed() -> None:
    """A stream that the caller closed (`>&-`) becomes one that cannot be used: left alone, the next file or connection
    that is opened would take its number."""
    read, write = (os.O_WRONLY, "r"), (os.O_RDONLY, "w")
    for name, (unusable, mode) in (("stdin", read), ("stdout", write), ("stderr", write)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, unusable), mode, encoding="utf-8", closefd=False))


def config_dir() -> Path:
    import platformdirs

    return platformdirs.user_config_path("reader")


def state_dir() -> Path:
    """The history's folder. Created by who writes there, mode 0700."""
    import platformdirs

    return platformdirs.user_state_path("reader")


def engine_dir() -> Path:
    """The background engine's data folder."""
    import platformdirs

    return platformdirs.user_data_path("reader") / "engine"
