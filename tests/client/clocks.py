"""Time for tests: real, except that sleeping takes none of it, or faster than real."""

from __future__ import annotations

import threading
import time


class Skipping:
    """Sleeping moves the clock and returns at once; `slept` are the pauses. Safe to use from several threads."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0
        self._lock = threading.Lock()

    def clock(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._ahead += seconds
        time.sleep(0.001)


class Fast:
    """Runs `factor` times as fast as real time."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def clock(self) -> float:
        return time.monotonic() * self._factor

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._factor)
