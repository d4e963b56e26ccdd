"""Trying again: after what, after how long, for how long (contract: error codes)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from reader_cli.errors import ApiError, ReaderError, Unreachable
from reader_cli.models import ErrorCode

FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 8.0
LEAST_TIMEOUT = 1.0
ATTEMPT = 10.0  # seconds of silence that one attempt may take: if it hangs, there is time for another

_T = TypeVar("_T")


def backoff(attempt: int, *, first: float = FIRST_BACKOFF, longest: float = LONGEST_BACKOFF) -> float:
    """Seconds before trying for the `attempt`-th time again, from 0: exponential, with full jitter."""
    return random.uniform(0.1, 1.0) * min(longest, first * 2.0 ** min(attempt, 16))


def is_transient(error: ReaderError) -> bool:
    """Whether the same request may succeed later. `concurrency_limited` waits for a job, not for time: no."""
    if isinstance(error, ApiError):
        return error.code != ErrorCode.CONCURRENCY_LIMITED and (error.status == 429 or error.status >= 500)
    return isinstance(error, Unreachable) and error.transient


def is_definite(error: ReaderError) -> bool:
    """Whether the API surely did nothing: it refused, or was never reached (contract: x-idempotency-key)."""
    return isinstance(error, ApiError) or (isinstance(error, Unreachable) and not error.sent)


@dataclass(frozen=True)
class Retries:
    """`clock` is monotonic seconds, `sleep` takes seconds, `notify` one line of talk."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    notify: Callable[[str], None]

    def call(
        self,
        send: Callable[[float], _T],
        patience: float,
        repeatable: Callable[[ReaderError], bool] = is_transient,
        *,
        attempt: float = ATTEMPT,
        limited: float = 0.0,
    ) -> _T:
        """What `send` returns; it is given the seconds that it may take, `attempt` at most. Tries again within
        `patience` seconds after errors that are `repeatable`, and raises the last one. Up to `limited` seconds of
        pauses that the server asked for don't count."""
        until = self.clock() + patience
        for tries in count():
            try:
                return send(max(min(until - self.clock(), attempt), LEAST_TIMEOUT))
            except (ApiError, Unreachable) as error:
                pause = pause_after(error, tries)
                granted = min(pause, limited) if error.retry_after is not None else 0.0
                limited, until = limited - granted, until + granted
                if not repeatable(error) or self.clock() + pause > until:
                    raise
                self._tell(error, pause, tries)
                self.sleep(pause)
        raise AssertionError("count() never ends")

    def _tell(self, error: ApiError | Unreachable, pause: float, tries: int) -> None:
        if error.retry_after is not None:
            self.notify(f"the server asks to wait, trying again in {pause:.0f} s")
        elif tries >= 1:  # one hiccup is no news
            self.notify(f"{error.message}; trying again")


def pause_after(error: ApiError | Unreachable, attempt: int) -> float:
    """Seconds to wait before the next attempt: what the server asked for and a little jitter, otherwise a backoff."""
    if error.retry_after is not None:
        return error.retry_after + random.uniform(0.0, 0.25)
    return backoff(attempt)
