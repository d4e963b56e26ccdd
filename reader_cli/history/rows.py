"""What the history is made of. Named tuples: a frozen dataclass of this size takes 7 ms to make, at every TAB."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class PartState(StrEnum):
    PLANNED = "planned"  # not sent, or definitely refused
    SENT = "sent"  # the answer has not been seen: only its own key may be sent again
    ACCEPTED = "accepted"


class Input(Protocol):
    """What the history remembers of an `inputs.Item`."""

    @property
    def url(self) -> str: ...
    @property
    def record(self) -> dict[str, Any] | None: ...


class Part(NamedTuple):
    """A part of a run and, once accepted, its job as last seen. `sent` and `submitted` are unix seconds."""

    run_id: str
    server: str
    name: str | None
    mode: str
    submitted: float
    number: int
    state: str
    key: str
    sent: float | None
    urls: int
    first_url: str
    job_id: str | None
    status: str | None
    completed: int
    total: int
    failed: int | None
    credits_used: int
    created_at: str | None


class Run(NamedTuple):
    """`body` is the request without URLs and without the webhook's secret; `had_secret` tells that there was one."""

    id: str
    server: str
    name: str | None
    mode: str
    body: dict[str, Any]
    had_secret: bool
    submitted: float
    parts: tuple[Part, ...]

    @property
    def job_ids(self) -> list[str]:
        return [part.job_id for part in self.parts if part.job_id]

    @property
    def missing(self) -> list[Part]:
        return [part for part in self.parts if part.state != PartState.ACCEPTED]
