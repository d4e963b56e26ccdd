"""What to wait for and how: the options, checked before anything is sent. Light, for TAB; `following` does it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reader_cli import options
from reader_cli.errors import UsageError
from reader_cli.models import Job

WEBHOOK = "webhook"
VIAS = ("auto", "sse", "poll", WEBHOOK)
MODES = ("auto", "bar", "plain", "json", "none")


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """`--max-failures`: so many pages, or so many per cent of the pages attempted."""

    number: float
    percent: bool

    @classmethod
    def parse(cls, text: str) -> FailureLimit:
        """From `3` or `2.5%`. Raises UsageError."""
        match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)%", text.strip())
        if not match or (match[2] and float(match[2]) > 100):
            raise UsageError(f"--max-failures {text!r} is neither a number nor a percentage", hint="Use 10 or 5%.")
        return cls(float(match[1] or match[2]), bool(match[2]))

    def pages(self, attempted: int) -> float:
        return self.number * attempted / 100 if self.percent else self.number


@dataclass(frozen=True, kw_only=True)
class FollowOptions:
    """Durations in seconds."""

    via: options.Via = "auto"
    port: options.Port = 0
    public_url: options.PublicUrl = None
    interval: options.Interval = None
    timeout: options.Timeout = None
    give_up_after: options.GiveUpAfter = 120.0
    progress: options.ProgressMode = "auto"
    max_failures: options.MaxFailures = "0"
    cancel_on_interrupt: options.CancelOnInterrupt = False
    limit: FailureLimit = field(init=False)

    def __post_init__(self) -> None:
        if self.via not in VIAS:
            raise UsageError(f"--via {self.via!r} is none of {', '.join(VIAS)}")
        if self.progress not in MODES:
            raise UsageError(f"--progress {self.progress!r} is none of {', '.join(MODES)}")
        if self.via != WEBHOOK and (self.public_url or self.port):
            raise UsageError("--public-url and --port need --via webhook")
        object.__setattr__(self, "limit", FailureLimit.parse(self.max_failures))

    def check_brings_pages(self) -> None:
        """Raises UsageError where pages are told of, and not brought."""
        if self.via == WEBHOOK:
            raise UsageError("--via webhook tells of pages, but does not bring them: leave it out to get the results")


@dataclass(frozen=True, kw_only=True)
class Target:
    """The jobs to follow, the words that name them to the user, and how they stood before a retry."""

    job_ids: Sequence[str]
    refs: Sequence[str]
    before: Mapping[str, Job] = field(default_factory=dict)
