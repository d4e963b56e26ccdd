"""How fast a job goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

RATE_SECONDS = 30.0  # the window over which pages/s is measured
LEAST_SECONDS = 1.0  # two counts that come together say nothing of speed


class Rate:
    """Pages a second over the last half minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque()

    def add(self, completed: int) -> None:
        now = self._clock()
        self._points.append((now, completed))
        while len(self._points) > 2 and (now - self._points[0][0] > RATE_SECONDS or len(self._points) > 500):
            self._points.popleft()

    def per_second(self) -> float:
        """0.0 until two different counts are known."""
        if not self._points:
            return 0.0
        seconds = self._clock() - self._points[0][0]
        pages = self._points[-1][1] - self._points[0][1]
        return max(pages, 0) / max(seconds, LEAST_SECONDS)  # a retry takes pages back
