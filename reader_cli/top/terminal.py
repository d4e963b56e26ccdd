"""The screen and the keys of a terminal, taken over and given back whatever happens (termios, job control)."""

from __future__ import annotations

import io
import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from threading import Lock
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.live import Live

from reader_cli.env import Env
from reader_cli.signals import handling
from reader_cli.top.keys import decode

ESCAPE_SECONDS = 0.03  # after ESC the rest of a key's sequence comes within this time, or it was the key itself
FRAME_SECONDS = 0.08  # between two pictures at least
PASTES_MARKED = ("\x1b[?2004h", "\x1b[?2004l")  # on, off

_Handler = Callable[[int, FrameType | None], None] | signal.Handlers


class Inbox:
    """What other threads want done in this one. `post` may be called from any thread."""

    def __init__(self) -> None:
        self._posted: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self.bell, self.wakeup = os.pipe()
        for end in (self.bell, self.wakeup):
            os.set_blocking(end, False)

    def post(self, do: Callable[[], object]) -> None:
        self._posted.put(do)
        with self._lock, suppress(BlockingIOError):  # full: it rings already
            if not self._closed:
                os.write(self.wakeup, b"\0")

    def run(self) -> None:
        """Does what has been posted so far. What it raises comes out here."""
        for _ in range(self._posted.qsize()):
            self._posted.get()()

    def close(self) -> None:
        """Threads that still post are not heard: the descriptors may belong to another file then."""
        with self._lock:
            self._closed = True
            os.close(self.bell)
            os.close(self.wakeup)


class Terminal:
    """The alternate screen, and keys without Enter. Ctrl-C, Ctrl-Z and SIGTERM mean what they mean everywhere."""

    def __init__(self, env: Env, inbox: Inbox) -> None:
        self._env = env
        self._inbox = inbox
        self._keys = env.stdin.fileno()
        self._text = io.TextIOWrapper(env.stdout, encoding="utf-8", errors="replace", write_through=True)
        self._console = Console(file=self._text, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._signals = ExitStack()
        self._screen = ExitStack()
        self._drawn_at = float("-inf")

    def __enter__(self) -> Self:
        try:
            self._signals.enter_context(_signals_ring(self._inbox.wakeup))
            self._take_over()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def measure(self) -> tuple[int, int]:
        """Columns and lines as they are now. LINES and COLUMNS, which rich would believe, outlive a resizing."""
        columns, lines = os.get_terminal_size(self._keys)
        self._console.size = ConsoleDimensions(columns or 80, lines or 24)
        return self._console.size

    def draw(self, picture: RenderableType) -> None:
        self._live.update(picture, refresh=True)
        self._drawn_at = self._env.clock()

    def wait(self, seconds: float) -> list[str] | None:
        """The keys that were pressed, as soon as there are any or the inbox rings, after `seconds` at the latest. None
        when the terminal is gone."""
        drawn = self._drawn_at + FRAME_SECONDS - self._env.clock()
        ready = self._select([self._keys], drawn) if drawn > 0 else []
        ready = ready or self._select([self._keys, self._inbox.bell], seconds)
        if self._inbox.bell in ready:
            self._obey(self._hear())
        return self._read_keys() if self._keys in ready else []

    def _read_keys(self) -> list[str] | None:
        data = b""
        while not data or self._select([self._keys], ESCAPE_SECONDS if b"\x1b" in data else 0.0):
            try:
                piece = os.read(self._keys, 4096)
            except OSError:
                piece = b""
            if not piece:
                return None
            data += piece
        return list(decode(data))

    def _obey(self, signals: bytes) -> None:
        """Signals by number, as `set_wakeup_fd` writes them; the zeros between them are the inbox's own."""
        if signal.SIGTSTP in signals:
            self._give_back()
            with handling(signal.SIGTSTP, signal.SIG_DFL):
                os.kill(os.getpid(), signal.SIGTSTP)  # returns when it is continued
            self._hear()  # of that, too
            self._take_over()
        elif signal.SIGCONT in signals:  # a stop that nobody asked us about
            self._give_back()
            self._take_over()

    def _hear(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self._inbox.bell, 4096)
        return b""

    def _take_over(self) -> None:
        self._screen.enter_context(_cbreak(self._keys))
        self._live = self._screen.enter_context(
            Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        )
        self._text.write(PASTES_MARKED[0])
        self._screen.callback(self._text.write, PASTES_MARKED[1])

    def _give_back(self) -> None:
        with suppress(OSError, termios.error):  # a terminal that is gone needs nothing back
            self._screen.close()

    def _leave(self) -> None:
        self._give_back()
        self._signals.close()
        with suppress(OSError):
            self._text.detach()

    @staticmethod
    def _select(files: list[int], seconds: float) -> list[int]:
        return select.select(files, [], [], max(seconds, 0.0))[0]


@contextmanager
def _cbreak(file: int) -> Iterator[None]:
    before = termios.tcgetattr(file)
    try:
        tty.setcbreak(file)
        yield
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


@contextmanager
def _signals_ring(wakeup: int) -> Iterator[None]:
    """Resizing, Ctrl-Z and its end wake who waits, instead of interrupting a picture half drawn."""
    with ExitStack() as stack:
        for number in (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT):
            stack.enter_context(handling(number, _ring))
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False))
        yield


def _ring(_number: int, _frame: FrameType | None) -> None:
    """The number is written to the wakeup descriptor; that a handler is set is all that it needs."""
