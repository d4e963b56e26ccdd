"""What is known of the workspace's jobs, and which of them GET is to be asked about. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from reader_cli.errors import ApiError, ReaderError
from reader_cli.models import ACTIVE, TERMINAL, ErrorCode, Job, Status
from reader_cli.output.text import unix
from reader_cli.rate import Rate

if TYPE_CHECKING:
    from reader_cli.client.workspace import WorkspaceEvent
    from reader_cli.history import Part

QUIET = 60.0  # seconds without news of an active job, until GET is asked: nobody tells of a cancellation
AGAIN = 30.0  # seconds after a GET that failed
ASKED_AT_ONCE = 4  # GETs that may be under way
MOST_ROWS = 5000
MOST = 10**12  # of anything that is counted; more is nonsense, and longer than a column
GONE = "gone"  # the status of a job that the server does not know any more
UNSEEN = "?"  # of one that it was not asked about yet

_T = TypeVar("_T")


@dataclass(slots=True)
class Row:
    """A job. `submitted` is in unix seconds, `check_at` a value of the clock; `failed` is None where nobody counted."""

    id: str
    rate: Rate
    submitted: float
    check_at: float
    name: str = ""  # of its run
    first_url: str = ""
    status: str = UNSEEN
    completed: int = 0
    total: int = 0
    failed: int | None = None
    credits_used: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)  # the job as GET told it last

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL or self.status == GONE

    @property
    def share(self) -> float:
        """Of the pages known so far, from 0 to 1."""
        return min(self.completed / self.total, 1.0) if self.total else 0.0

    @property
    def speed(self) -> float:
        """Pages a second; 0 when there is nothing more to read."""
        return 0.0 if self.ended else self.rate.per_second()

    @property
    def left(self) -> float | None:
        """Seconds until the end at this speed."""
        return (self.total - self.completed) / self.speed if self.speed and self.total else None


class Board:
    """`clock` is monotonic seconds, `now` unix seconds. `rows` are by job id, the first known first."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._asked: set[str] = set()
        self.rows: dict[str, Row] = {}

    @property
    def active(self) -> list[Row]:
        return [row for row in self.rows.values() if row.status in ACTIVE]

    def add_known(self, parts: Iterable[Part]) -> None:
        """Jobs of the history, newest first. Those that had not ended when last seen are due."""
        for part in reversed(list(parts)):
            if part.job_id is None:
                continue
            row = self._row(part.job_id)
            row.name, row.first_url, row.submitted = part.name or "", part.first_url, part.submitted
            row.status = part.status or UNSEEN
            self._count(row, part.completed, part.total, part.failed, part.credits_used)
            row.check_at = float("inf") if row.ended else self._clock()

    def hear(self, event: WorkspaceEvent) -> None:
        """An event of the workspace's stream. An end is believed from GET alone, which is due then at once."""
        if not event.job_id:
            return
        known = event.job_id in self.rows
        row = self._row(event.job_id)
        data, active = event.data, str(event.data.get("status")) in ACTIVE
        if active:
            row.status = data["status"]
        self._count(row, *(data.get(key) for key in ("completed", "total", "failed", "creditsUsed")))
        row.rate.add(row.completed)
        row.check_at = self._clock() + (QUIET if known and active else 0.0)

    def learn(self, job: Job) -> bool:
        """What GET said. Returns whether the job has ended since we looked last."""
        row = self._row(job["id"])
        self._asked.discard(row.id)
        went_on, row.status = not row.ended, job["status"]
        self._count(row, job.get("completed"), job.get("total"), job.get("failed"), job.get("creditsUsed"))
        row.rate.add(row.completed)
        row.facts = {key: value for key, value in job.items() if key != "results"}
        row.first_url = row.first_url or _first_url(job)
        row.submitted = unix(job.get("createdAt")) or row.submitted
        row.check_at = self._clock() + QUIET
        if row.ended:
            row.check_at, row.rate = float("inf"), Rate(self._clock)
        return went_on and row.ended

    def fail(self, job_id: str, error: ReaderError) -> None:
        """GET failed. A job that the server does not know is not asked about again."""
        gone = isinstance(error, ApiError) and error.code == ErrorCode.NOT_FOUND
        if gone:
            self._row(job_id).status = GONE
        self.ask_later(job_id, float("inf") if gone else AGAIN)

    def ask_later(self, job_id: str, seconds: float) -> None:
        """Nothing was learned, or something may have changed: due again in so many seconds."""
        self._asked.discard(job_id)
        self._row(job_id).check_at = self._clock() + seconds

    def queue_again(self, job_id: str) -> None:
        """A retry was accepted. The state from before it may still be told for a moment."""
        self._row(job_id).status = Status.QUEUED
        self.ask_later(job_id, 2.0)

    def take_due(self) -> list[str]:
        """Jobs to ask GET about now; each is answered with `learn` or `fail`."""
        now = self._clock()
        due = [row.id for row in self.rows.values() if row.check_at <= now and row.id not in self._asked]
        taken = due[: max(ASKED_AT_ONCE - len(self._asked), 0)]
        self._asked.update(taken)
        return taken

    def _row(self, job_id: str) -> Row:
        if job_id not in self.rows:
            self._make_room()
            self.rows[job_id] = Row(job_id, Rate(self._clock), self._now(), self._clock())
        return self.rows[job_id]

    def _make_room(self) -> None:
        if len(self.rows) >= MOST_ROWS:
            oldest = next((row.id for row in self.rows.values() if row.ended), next(iter(self.rows)))
            del self.rows[oldest]

    def _count(self, row: Row, completed: object, total: object, failed: object, credits_used: object) -> None:
        """Takes what is a number; a server may leave any of them out."""
        row.completed = _whole(completed, row.completed)
        row.total = _whole(total, row.total)
        row.failed = _whole(failed, row.failed)
        row.credits_used = _whole(credits_used, row.credits_used)


def _first_url(job: Job) -> str:
    """Of the results that came along, one at most."""
    pages = job.get("results")
    first = pages[0] if isinstance(pages, list) and pages else None
    return str(first.get("url") or "") if isinstance(first, dict) else ""


def _whole(value: object, known: _T) -> int | _T:
    return value if isinstance(value, int) and 0 <= value < MOST else known
