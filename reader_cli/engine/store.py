"""Jobs and their items in the database. Every function runs inside one transaction of `Database`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum

from reader_cli.models import ACTIVE, Job, JobSummary, Mode, Status


class State(StrEnum):
    """Of an item. A retried one is WAITING again, with the place of its old entry kept."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    DUPLICATE = "duplicate"  # a crawl met this page before, under another URL


@dataclass(frozen=True, slots=True)
class JobRow:
    key: int
    id: str
    mode: Mode
    status: Status
    run: int
    request: bytes
    total: int
    completed: int
    failed: int
    credits: int
    entries: int
    seq: int
    rev: int
    error: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    def summary(self) -> JobSummary:
        return {
            "id": self.id,
            "status": self.status,
            "mode": self.mode,
            "total": self.total,
            "completed": self.completed,
            "creditsUsed": self.credits,
            "createdAt": self.created_at,
        }

    def wire(self) -> Job:
        """The contract's job without its `results`."""
        return {
            "id": self.id,
            "status": self.status,
            "mode": self.mode,
            "total": self.total,
            "completed": self.completed,
            "failed": self.failed,
            "creditsUsed": self.credits,
            "error": self.error,
            "createdAt": self.created_at,
            "startedAt": self.started_at,
            "completedAt": self.completed_at,
        }


@dataclass(frozen=True, slots=True)
class Item:
    """One URL of a job. `n` counts in the order of submission or discovery, `depth` the links from the start page.
    `trusted` URLs may be private: those that the key's holder gave, and the links of a private page. `placed` ones have
    an entry in the results, which the outcome of a retry replaces."""

    n: int
    url: str
    depth: int = 0
    trusted: bool = True
    state: State = State.WAITING
    identity: str | None = None
    placed: bool = False


COLUMNS = ", ".join(field.name for field in fields(JobRow))
NEXT_REV = "(SELECT coalesce(max(rev), 0) + 1 FROM jobs)"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def create(
    db: sqlite3.Connection, job_id: str, mode: Mode, request: bytes, urls: Iterable[str], *, budget: int
) -> JobRow:
    """`budget` is what the job may cost at most, in credits."""
    items = [Item(n, url) for n, url in enumerate(urls)]
    db.execute(
        "INSERT INTO jobs (id, mode, status, run, request, total, budget, rev, created_at)"
        f" VALUES (?, ?, ?, 0, ?, ?, ?, {NEXT_REV}, ?)",
        (job_id, mode, Status.QUEUED, request, len(items), budget, now()),
    )
    job = find(db, job_id)
    assert job is not None
    add_items(db, job.key, items)
    return job


def find(db: sqlite3.Connection, job_id: str) -> JobRow | None:
    row = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return _job(row) if row else None


def active(db: sqlite3.Connection) -> list[JobRow]:
    rows = db.execute(f"SELECT {COLUMNS} FROM jobs WHERE status IN (?, ?) ORDER BY key", tuple(ACTIVE))
    return [_job(row) for row in rows]


def changed(db: sqlite3.Connection, after: int) -> list[JobRow]:
    """Jobs that changed after revision `after`, in the order of their latest changes."""
    return [_job(row) for row in db.execute(f"SELECT {COLUMNS} FROM jobs WHERE rev > ? ORDER BY rev", (after,))]


def latest_rev(db: sqlite3.Connection) -> int:
    (rev,) = db.execute("SELECT coalesce(max(rev), 0) FROM jobs").fetchone()
    return int(rev)


def count_active(db: sqlite3.Connection) -> tuple[int, int]:
    """How many jobs are being processed, and how many are queued."""
    processing, queued = (
        db.execute("SELECT count(*) FROM jobs WHERE status = ?", (status,)).fetchone()[0]
        for status in (Status.PROCESSING, Status.QUEUED)
    )
    return processing, queued


def reserved_credits(db: sqlite3.Connection) -> int:
    """What the active jobs may still use."""
    (reserved,) = db.execute(
        "SELECT coalesce(sum(max(budget - credits, 0)), 0) FROM jobs WHERE status IN (?, ?)", tuple(ACTIVE)
    ).fetchone()
    return int(reserved)


def add_items(db: sqlite3.Connection, key: int, items: Iterable[Item]) -> None:
    db.executemany(
        "INSERT INTO items (job, n, url, depth, trusted, state) VALUES (?, ?, ?, ?, ?, ?)",
        [(key, item.n, item.url, item.depth, item.trusted, item.state) for item in items],
    )


def items(db: sqlite3.Connection, key: int) -> list[Item]:
    rows = db.execute(
        "SELECT n, url, depth, trusted, state, identity, position IS NOT NULL FROM items WHERE job = ? ORDER BY n",
        (key,),
    )
    return [
        Item(n, url, depth, bool(trusted), State(state), identity, bool(placed))
        for n, url, depth, trusted, state, identity, placed in rows
    ]


def begin(db: sqlite3.Connection, job_id: str, run: int) -> JobRow | None:
    """The job, now processing; None when this run of it is over. Repeating it after a crash is harmless."""
    db.execute(
        f"UPDATE jobs SET status = ?, started_at = coalesce(started_at, ?), rev = {NEXT_REV}"
        " WHERE id = ? AND run = ? AND status = ?",
        (Status.PROCESSING, now(), job_id, run, Status.QUEUED),
    )
    job = find(db, job_id)
    return job if job and job.active and job.run == run else None


def finish(db: sqlite3.Connection, job: JobRow, status: Status, error: str | None = None) -> bool:
    """Ends this run of the job; False when it had ended already (a cancellation came first).

    What a broken job had not come to waits for a retry; that of a cancelled one, and links that a crawl had no room
    for, are forgotten.
    """
    ended = db.execute(
        f"UPDATE jobs SET status = ?, error = ?, completed_at = ?, rev = {NEXT_REV}"
        " WHERE key = ? AND run = ? AND status IN (?, ?)",
        (status, error, now(), job.key, job.run, *ACTIVE),
    )
    if ended.rowcount and status is not Status.FAILED:
        _forget_waiting(db, job.key)
    return ended.rowcount == 1


def count_retryable(db: sqlite3.Connection, job: JobRow) -> int:
    """The URLs of a terminal job that failed, and those that a broken job had not come to."""
    (number,) = db.execute(
        "SELECT count(*) FROM items WHERE job = ? AND state IN (?, ?)", (job.key, State.FAILED, State.WAITING)
    ).fetchone()
    return int(number)


def retry(db: sqlite3.Connection, job: JobRow, retrying: int, *, budget: int) -> None:
    """Queues the `retrying` retryable items again, which may cost `budget` credits more.

    Counts are of outcomes that stand, so the retried ones leave `completed` and `failed` until they are known anew.
    What a cancelled job had not come to leaves `total`.
    """
    failed = db.execute(
        "UPDATE items SET state = ? WHERE job = ? AND state = ?", (State.WAITING, job.key, State.FAILED)
    ).rowcount
    db.execute(
        f"UPDATE jobs SET status = ?, run = run + 1, completed = completed - ?, failed = failed - ?,"
        f" total = ?, budget = credits + ?, error = NULL, completed_at = NULL, rev = {NEXT_REV} WHERE key = ?",
        (Status.QUEUED, failed, failed, job.entries + retrying - failed, budget, job.key),
    )


def oldest_ended(db: sqlite3.Connection, before: str) -> int | None:
    """The key of the job that ended first, before that moment. Not of the one that changed last: the next revision is
    counted from its own, and streams go on from there."""
    row = db.execute(
        "SELECT key FROM jobs WHERE completed_at < ? AND rev < (SELECT max(rev) FROM jobs) ORDER BY completed_at",
        (before,),
    ).fetchone()
    return row["key"] if row else None


def delete(db: sqlite3.Connection, key: int) -> None:
    for table in ("results", "items"):
        db.execute(f"DELETE FROM {table} WHERE job = ?", (key,))
    db.execute("DELETE FROM jobs WHERE key = ?", (key,))


def _forget_waiting(db: sqlite3.Connection, key: int) -> None:
    """What a retry had not come to is failed as before."""
    waiting = (key, State.WAITING)
    db.execute("DELETE FROM items WHERE job = ? AND state = ? AND position IS NULL", waiting)
    kept = db.execute("UPDATE items SET state = ? WHERE job = ? AND state = ?", (State.FAILED, *waiting)).rowcount
    db.execute(
        "UPDATE jobs SET completed = completed + ?, failed = failed + ?, total = max(total, completed + ?)"
        " WHERE key = ?",
        (kept, kept, kept, key),
    )


def _job(row: sqlite3.Row) -> JobRow:
    values = dict(row)
    return JobRow(**values | {"mode": Mode(values["mode"]), "status": Status(values["status"])})
