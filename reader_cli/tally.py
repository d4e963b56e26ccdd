"""What a watch has told so far, over all its jobs: counts, failures by cause, and the exit code that they make."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reader_cli.errors import WORST_FIRST, ExitCode
from reader_cli.events import Done, Event, PageFailed
from reader_cli.models import Status
from reader_cli.urls import split_url

if TYPE_CHECKING:
    from reader_cli.waiting import FailureLimit

EXAMPLES = 3  # failed URLs kept a cause: a summary names a few, the results have them all
CAUSES = 1000  # distinct causes kept: a hostile server may send a new one a page
# What makes two reports of one cause differ: URLs, addresses, long numbers.
_VARIABLE = re.compile(r"https?://\S+|\b\d{4,}\b")


@dataclass
class Cause:
    """One reason for failures. `hosts` counts them by host, `urls` holds the first few."""

    text: str
    hosts: Counter[str] = field(default_factory=Counter)
    urls: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.hosts.total()

    def add(self, url: str) -> None:
        self.hosts[(split_url(url).netloc or "no host") if len(self.hosts) < CAUSES else "other hosts"] += 1
        if len(self.urls) < EXAMPLES:
            self.urls.append(url)


@dataclass
class Tally:
    done: dict[str, Done] = field(default_factory=dict)
    causes: dict[str, Cause] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        if isinstance(event, Done):
            self.done[event.job_id] = event
        elif isinstance(event, PageFailed):
            text = _VARIABLE.sub("…", event.error)
            if text not in self.causes and len(self.causes) >= CAUSES:
                text = "other causes"
            self.causes.setdefault(text, Cause(text)).add(event.url)

    @property
    def completed(self) -> int:
        return sum(done.completed for done in self.done.values())

    @property
    def failed(self) -> int:
        return sum(done.failed for done in self.done.values())

    @property
    def credits_used(self) -> int:
        return sum(done.credits_used for done in self.done.values())

    def failed_causes(self) -> list[Cause]:
        """Most frequent first."""
        return sorted(self.causes.values(), key=lambda cause: -cause.count)

    def exit_code(self, allowed: FailureLimit) -> ExitCode:
        """The outcome of all jobs as one code; errors are raised, they never get here (cli: exit codes)."""
        codes = {_OUTCOME.get(done.status, ExitCode.BUG) for done in self.done.values()}
        if self.failed > allowed.pages(self.completed):
            codes.add(ExitCode.PAGES_FAILED)
        return worst(codes)


_OUTCOME: dict[str, ExitCode] = {
    Status.COMPLETED: ExitCode.OK,
    Status.FAILED: ExitCode.JOB_FAILED,
    Status.CANCELLED: ExitCode.JOB_CANCELLED,
}


def worst(codes: set[ExitCode]) -> ExitCode:
    """One exit code for several jobs; 0 for none."""
    return next((ExitCode(code) for code in WORST_FIRST if code in codes), ExitCode.OK)
