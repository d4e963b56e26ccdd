"""What watching yields. The core makes these, output consumes them; neither knows the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts as they stand. `failed` is None where the server doesn't count failures and none was seen yet."""

    job_id: str
    status: str
    completed: int
    total: int
    failed: int | None = None
    credits_used: int | None = None


@dataclass(frozen=True, slots=True)
class PageDone:
    """A page that was read, once a page however often the server repeats it. What is None was not told."""

    job_id: str
    url: str
    final_url: Any = None
    status_code: Any = None
    credits: Any = None


@dataclass(frozen=True, slots=True)
class PageFailed:
    job_id: str
    url: str
    error: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the work itself: `via` (now by sse, poll, webhook), `reconnecting`, `waiting`, `unrecorded`."""

    job_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """A terminal state, believed only from GET. `error` is why a `failed` job broke."""

    job_id: str
    status: str
    completed: int
    total: int
    failed: int
    credits_used: int
    error: str | None = None


Event = Progress | PageDone | PageFailed | Notice | Done
