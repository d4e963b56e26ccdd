"""What a watch knows of one job: its counts, and which of its pages had their event. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from reader_cli.client.slices import Slice
from reader_cli.client.wire import JobShape
from reader_cli.events import Done, PageDone, PageFailed, Progress
from reader_cli.models import ACTIVE, MAX_LIMIT
from reader_cli.output.jsonl import Head, is_failed, read_head, to_line

PROBE = 20  # pages that a GET may bring along when some may be missing


@dataclass(frozen=True, slots=True)
class Outcome:
    """A page that finished; `raw` is its JSON, as an event told it or as a line of the results."""

    job_id: str
    head: Head
    raw: str | bytes

    @property
    def failed(self) -> bool:
        return self.head.error is not None

    @property
    def key(self) -> tuple[str, bool]:
        """Pages are known by URL; a retried one has two outcomes."""
        return self.head.url, self.failed

    def event(self) -> PageDone | PageFailed:
        head = self.head
        if head.error is not None:
            return PageFailed(self.job_id, head.url, head.error)
        return PageDone(self.job_id, head.url, head.final_url, head.status_code, head.credits)

    def line(self) -> bytes:
        return to_line(self.raw.encode()) if isinstance(self.raw, str) else self.raw


class _Counts(msgspec.Struct):
    status: str
    completed: int
    total: int
    failed: int | None = None


class Ledger:
    """`every_page` wants an event for the pages that finished before the watch began, too. `before` is the job as it
    stood before a retry."""

    def __init__(self, job_id: str, *, every_page: bool, before: JobShape | None) -> None:
        self.job_id = job_id
        self.every_page = every_page
        self.job: JobShape | None = None  # as GET told it last; None until it tells of the run that is watched
        self._before = before
        self._retried = before is not None
        self._retrying = False  # now: errors among the results may still be replaced
        self._entries = 0  # of the results
        self._history: int | None = None  # pages that finished before the watch began and are not wanted
        self._seen: Counter[tuple[str, bool]] = Counter()
        self._failed = 0  # of the seen ones
        self._counted: int | None = None  # failures, as the results themselves told them
        self._shown: Progress | None = None
        self._surplus = False  # there were more pages than attempted ones: some were to be tried again
        self._told_failed: int | None = None  # by an event that told the end

    @property
    def completed(self) -> int:
        return self._shown.completed if self._shown else 0

    @property
    def terminal(self) -> bool:
        return self.job is not None and self.job.terminal

    @property
    def position(self) -> int:
        """The first entry that had no event, where entries are in order of completion."""
        return (self._history or 0) + self._seen.total()

    @property
    def behind(self) -> bool:
        """Whether pages finished whose events never came, and which can be told from older ones."""
        return self.job is not None and self.position < self.job.completed and (self.every_page or not self._retried)

    def window(self, *, pages: bool, ended: bool) -> tuple[int, int]:
        """The `skip` and `limit` for the next GET, so that it brings what is missing if that is little. `ended` if the
        server says that this is the end."""
        if pages and not (self._retried and not self.every_page):
            return self.position, PROBE
        counted = self._told_failed is not None and self._told_failed <= self._failed
        return (0, MAX_LIMIT) if ended and not counted else (0, 1)

    def unsettled(self, *, pages: bool) -> bool:
        """Whether only the results, read from the first to the last, can tell what the watch must tell at the end: how
        many pages failed, which ones, and with `pages` those that had no event."""
        if self.job is None or self._counted is not None:
            return False
        if self.every_page and (self._surplus or self._seen.total() != self._entries):
            return True
        if self.job.failed is None:
            return self._seen.total() != self.job.completed
        return self.job.failed > self._failed or (pages and self.behind)

    def update(self, answer: Slice) -> Progress | None:
        """Takes in what GET said. A terminal state from before the retry is not this run's and leaves no trace."""
        job = answer.job
        if self._before is not None and job.terminal and job == self._before:
            return None
        self._before = None
        self.job = job
        self._entries = answer.entries
        self._retrying = answer.retrying
        self._retried = self._retried or answer.retrying
        self.look_for_surplus()
        if self._history is None:
            whole = job.completed <= len(answer.pages) and not self._retried
            self._history = 0 if self.every_page or whole else job.completed
        return self._show(_Counts(job.status, job.completed, job.total, job.failed), job.credits_used)

    def look_for_surplus(self) -> None:
        """More pages than were attempted: a retry runs, and what was told of some may be revised."""
        self._surplus |= self.job is not None and self._seen.total() > self.job.completed

    def forget_before(self) -> None:
        """The state that never changed since before the retry is this run's after all."""
        self._before = None

    def progress(self, data: Any) -> Progress | None:
        """Takes in an event's counts; None when they tell nothing new, or of an end, which GET has to confirm."""
        try:
            counts = msgspec.convert(data, _Counts)
        except msgspec.ValidationError:
            return None
        if counts.status not in ACTIVE:
            self._told_failed = counts.failed
            return None
        if counts.completed < self.completed:
            return None  # an old event
        self._before = None
        return self._show(counts, self._shown.credits_used if self._shown else None)

    def first_seen(self, raw: str | bytes) -> Outcome | None:
        """The page of an event, or of an entry that may have had one; None when its like was seen."""
        outcome = Outcome(self.job_id, read_head(raw), raw)
        if not outcome.head.url or outcome.key in self._seen:
            return None
        self._before = None
        self._see(outcome, 1)
        return outcome

    def next_entry(self, line: bytes) -> Outcome | None:
        """`first_seen` for entries that are read on from `position`."""
        return None if self._retrying and is_failed(line) else self.first_seen(line)

    def reconcile(self, line: bytes, met: Counter[tuple[str, bool]]) -> Outcome | None:
        """The page of an entry when all are read, from the first one on; `met` counts them by key, because a URL that
        was submitted twice has two entries. None when it had its event, or needs none."""
        outcome = Outcome(self.job_id, read_head(line), line)
        if outcome.failed and self._retrying:
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
        job, failed = self.job, self.job.failed
        if failed is None:
            failed = self._failed if self._counted is None else self._counted
        return Done(self.job_id, job.status, job.completed, job.total, failed, int(job.credits_used or 0), job.error)

    def _see(self, outcome: Outcome, count: int) -> None:
        self._failed += (count - self._seen[outcome.key]) if outcome.failed else 0
        self._seen[outcome.key] = count

    def _show(self, counts: _Counts, used: float | None) -> Progress | None:
        failed = counts.failed if counts.failed is not None else self._failed or None
        used = None if used is None else int(used)
        shown = Progress(self.job_id, counts.status, counts.completed, counts.total, failed, used)
        if shown == self._shown:
            return None
        self._shown = shown
        return shown
