"""What a watch knows of one job: its counts, and which of its pages had their event. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from reader_cli.client.api import is_same_run
from reader_cli.client.wire import JobAnswer, decode
from reader_cli.events import Done, PageDone, PageFailed, Progress
from reader_cli.models import ACTIVE, TERMINAL, Job, Status
from reader_cli.output.jsonl import Head, read_head


@dataclass(frozen=True, slots=True)
class Outcome:
    """A page that finished, as its JSON line."""

    job_id: str
    head: Head
    line: bytes

    @property
    def failed(self) -> bool:
        return self.head.error is not None

    @property
    def key(self) -> tuple[str, bool]:
        """Pages are known by URL; a retried one has two outcomes."""
        return self.head.url, self.failed

    def event(self) -> PageDone | PageFailed:
        if self.head.error is not None:
            return PageFailed(self.job_id, self.head.url, self.head.error)
        return PageDone(self.job_id, decode(self.line))


class _Counts(msgspec.Struct):
    status: str
    completed: int
    total: int
    failed: int | None = None


class Ledger:
    """`every_page` wants an event for the pages that finished before the watch began, too. `before` is the job as it
    stood before a retry."""

    def __init__(self, job_id: str, *, every_page: bool, before: Job | None) -> None:
        self.job_id = job_id
        self.every_page = every_page
        self.job: Job | None = None  # as GET told it last; None until it tells of the run that is watched
        self.retried = before is not None
        self._before = before
        self._entries = 0  # of the results
        self._history: int | None = None  # pages that finished before the watch began, where those aren't wanted
        self._seen: Counter[tuple[str, bool]] = Counter()
        self._failed = 0  # of the seen ones
        self._counted: int | None = None  # failures, as the results themselves told them
        self._shown: Progress | None = None

    @property
    def terminal(self) -> bool:
        return self.job is not None and self.job["status"] in TERMINAL

    @property
    def completed(self) -> int:
        return self._shown.completed if self._shown else 0

    @property
    def position(self) -> int:
        """The first entry that had no event, where entries are in order of completion."""
        return (self._history or 0) + self._seen.total()

    @property
    def behind(self) -> bool:
        """Whether pages finished whose events never came."""
        return self.job is not None and self.position < self.job["completed"]

    def unsettled(self, *, pages: bool) -> bool:
        """Whether only the results, read from the first to the last, can tell what the watch must tell at the end: how
        many pages failed, which ones, and with `pages` those that had no event."""
        if self.job is None or self._counted is not None:
            return False
        if self.every_page and self._seen.total() != self._entries:
            return True
        failed = self.job.get("failed")
        if failed is None:
            return self._seen.total() != self.job["completed"]
        return failed > self._failed or (pages and self.behind and not self.retried)

    def forget_before(self) -> None:
        """The state that never changed since before the retry is this run's after all."""
        self._before = None

    def update(self, answer: JobAnswer) -> Progress | None:
        """Takes in what GET said. A terminal state from before the retry is not this run's and leaves no trace."""
        job = answer.job
        if self._before is not None and job["status"] in TERMINAL and is_same_run(self._before, job):
            return None
        self._before = None
        self.job = job
        self._entries = answer.pagination.get("total", 0)
        self.retried = self.retried or self._holds_old_errors
        if self._history is None:
            self._history = 0 if self.every_page else job["completed"]
        counts = _Counts(job["status"], job["completed"], job["total"], job.get("failed"))
        return self._show(counts, job.get("creditsUsed"))

    def progress(self, data: Any) -> Progress | None:
        """Takes in an event's counts; None when they tell nothing new. Its terminal state is not believed."""
        try:
            counts = msgspec.convert(data, _Counts)
        except msgspec.ValidationError:
            return None
        if self._shown and counts.completed < self._shown.completed:
            return None  # an old event
        if counts.status in ACTIVE:
            self._before = None
        else:
            counts.status = Status.PROCESSING
        return self._show(counts, self._shown.credits_used if self._shown else None)

    def first_seen(self, line: bytes) -> Outcome | None:
        """The page of an event, or of an entry that may have had one; None when its like was seen."""
        outcome = Outcome(self.job_id, read_head(line), line)
        if not outcome.head.url or outcome.key in self._seen:
            return None
        self._before = None
        self._see(outcome, 1)
        return outcome

    def next_entry(self, line: bytes) -> Outcome | None:
        """`first_seen` for entries that are read on from `position`."""
        return None if self._holds_old_errors and read_head(line).error is not None else self.first_seen(line)

    def reconcile(self, line: bytes, met: Counter[tuple[str, bool]]) -> Outcome | None:
        """The page of an entry when all are read, from the first one on; `met` counts them by key, because a URL that
        was submitted twice has two entries. None when it had its event, or needs none."""
        outcome = Outcome(self.job_id, read_head(line), line)
        if outcome.failed and self._holds_old_errors:
            return None
        met[outcome.key] += 1
        if met[outcome.key] <= self._seen[outcome.key]:
            return None
        self._see(outcome, met[outcome.key])
        return outcome if outcome.failed or not self._history else None

    def reconciled(self, met: Counter[tuple[str, bool]]) -> None:
        """All entries were read and met: nothing is history any more."""
        self._history = 0
        if self.terminal:
            self._counted = sum(count for (_, failed), count in met.items() if failed)

    def done(self) -> Done:
        """The end as GET told it. Only for a terminal job."""
        assert self.job is not None
        job = self.job
        failed = job.get("failed")
        if failed is None:
            failed = self._failed if self._counted is None else self._counted
        used = job.get("creditsUsed") or 0
        return Done(self.job_id, job["status"], job["completed"], job["total"], failed, used, job.get("error"))

    @property
    def _holds_old_errors(self) -> bool:
        """While a retry runs there are more entries than pages attempted, and errors among them that may still be
        replaced (contract: what the engine adds)."""
        return self.job is not None and not self.terminal and self._entries > self.job["completed"]

    def _see(self, outcome: Outcome, count: int) -> None:
        self._failed += (count - self._seen[outcome.key]) if outcome.failed else 0
        self._seen[outcome.key] = count

    def _show(self, counts: _Counts, used: int | None) -> Progress | None:
        failed = counts.failed if counts.failed is not None else self._failed or None
        shown = Progress(self.job_id, counts.status, counts.completed, counts.total, failed, used)
        if shown == self._shown:
            return None
        self._shown = shown
        return shown
