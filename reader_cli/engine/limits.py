"""The hosted service's limits, so that scripts can be tried against 402 and 429 (contract: limits)."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

from reader_cli.engine.refusals import Refused
from reader_cli.models import TIERS, ErrorCode, Tier

WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """`requests` in a minute, `active_jobs` queued or processing, `credits` a month; None is without limit."""

    tier: str = "local"
    requests: int | None = None
    active_jobs: int | None = None
    credits: int | None = None


def limits_of(tier: str | None, requests: int | None, active_jobs: int | None, credits: int | None) -> Limits:
    """A tier's limits, single ones of them replaced. The contract gives no tier's credits: they are always said."""
    by_tier = TIERS[Tier(tier)] if tier else (None, None)
    return Limits(
        tier or Limits().tier,
        by_tier[0] if requests is None else requests,
        by_tier[1] if active_jobs is None else active_jobs,
        credits,
    )


class RequestBudget:
    """Counts the requests of the last minute, in memory: a restarted engine begins anew."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken: deque[float] = deque()

    def take(self) -> None:
        """Raises Refused where the minute has had its requests. One that is refused does not count."""
        if self._limit is None:
            return
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - WINDOW_SECONDS:
            self._taken.popleft()
        if len(self._taken) >= self._limit:
            raise self._refusal(self._taken[0] + WINDOW_SECONDS - now)
        self._taken.append(now)

    def _refusal(self, wait: float) -> Refused:
        seconds = max(1, math.ceil(wait))
        return Refused(
            ErrorCode.RATE_LIMITED,
            f"more than {self._limit} requests in {WINDOW_SECONDS} seconds",
            {"limit": self._limit, "windowSeconds": WINDOW_SECONDS, "retryAfterSeconds": seconds},
            headers={"retry-after": str(seconds)},
        )
