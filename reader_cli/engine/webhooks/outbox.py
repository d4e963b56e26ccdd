"""What is owed to webhooks. An event is written down in the transaction that made it happen, and crossed out when its
receiver took it: so no crash loses one, and one in between may be delivered twice, under the same id.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reader_cli.engine import store
from reader_cli.engine.encoding import encode
from reader_cli.engine.store import JobRow, now
from reader_cli.engine.webhooks.rows import WORKSPACE
from reader_cli.models import Page, Status, WebhookEvent

PAUSES = (1.0, 4.0)  # seconds after the first and after the second try (contract: webhooks)


@dataclass(frozen=True, slots=True)
class Delivery:
    """`tries` are those that failed before this one."""

    key: int
    id: str
    event: str
    body: bytes
    tries: int


def started(db: sqlite3.Connection, job: JobRow) -> None:
    _announce(db, WebhookEvent.STARTED, job.key, lambda: {**_about(db, job), "mode": job.mode})


def page(db: sqlite3.Connection, job: JobRow, page: Page) -> None:
    """Which page it was and how the job stands, not what the page holds: that may be megabytes, and GET has it."""
    _announce(db, WebhookEvent.PAGE, job.key, lambda: {**_about(db, job), **_named(page)})


def ended(db: sqlite3.Connection, job: JobRow, status: Status, error: str | None) -> None:
    """For a job that completed or failed; of a cancellation no event tells (contract: webhooks)."""
    if status == Status.COMPLETED:
        _announce(db, WebhookEvent.COMPLETED, job.key, lambda: _about(db, job))
    elif status == Status.FAILED:
        _announce(db, WebhookEvent.FAILED, job.key, lambda: {**_about(db, job), "error": error})


def credit_low(db: sqlite3.Connection, credits: Mapping[str, Any]) -> None:
    """`credits` is GET /v1/usage/credits' data."""
    _announce(db, WebhookEvent.CREDIT_LOW, WORKSPACE, lambda: credits)


def webhooks_with_deliveries(db: sqlite3.Connection) -> list[tuple[int, float]]:
    """Each webhook that is owed something, and from when on (unix seconds). It hops along the index from webhook to
    webhook, because DISTINCT would read every delivery."""
    rows = db.execute(
        "WITH RECURSIVE owed (webhook) AS (SELECT min(webhook) FROM deliveries UNION ALL"
        " SELECT (SELECT min(webhook) FROM deliveries WHERE webhook > owed.webhook) FROM owed"
        " WHERE owed.webhook IS NOT NULL)"
        " SELECT webhook, (SELECT min(due) FROM deliveries WHERE webhook = owed.webhook) AS due FROM owed"
        " WHERE webhook IS NOT NULL"
    )
    return [(row["webhook"], row["due"]) for row in rows]


def due(db: sqlite3.Connection, webhook: int, limit: int) -> list[Delivery]:
    """What is due to one webhook, oldest first."""
    rows = db.execute(
        "SELECT key, id, event, body, tries FROM deliveries WHERE webhook = ? AND due <= ? ORDER BY due, key LIMIT ?",
        (webhook, time.time(), limit),
    )
    return [Delivery(*row) for row in rows]


def settle(db: sqlite3.Connection, webhook: int, delivery: Delivery, status: int | None) -> None:
    """Counts a try that was answered with HTTP `status`, None for no answer, and crosses the delivery out if it was
    taken, or was tried often enough."""
    taken, last = is_success(status), delivery.tries >= len(PAUSES)
    if taken or last:
        db.execute("DELETE FROM deliveries WHERE key = ?", (delivery.key,))
    else:
        again = time.time() + PAUSES[delivery.tries]
        db.execute("UPDATE deliveries SET tries = tries + 1, due = ? WHERE key = ?", (again, delivery.key))
    db.execute(
        "UPDATE webhooks SET attempts = attempts + 1, failed = failed + ?, last_at = ?, last_status = ? WHERE key = ?",
        (last and not taken, now(), status, webhook),
    )


def is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _announce(db: sqlite3.Connection, event: WebhookEvent, job: int, build: Callable[[], Mapping[str, Any]]) -> None:
    """`build` makes the payload, and is called only if somebody wants it: this is done for every page."""
    rows = db.execute(
        "SELECT key FROM webhooks WHERE job IN (?, ?) AND active AND instr(' ' || events || ' ', ?)",
        (WORKSPACE, job, f" {event} "),
    ).fetchall()
    if not rows:
        return
    body, moment = encode({"event": event, "createdAt": now(), **build()}), time.time()
    db.executemany(
        "INSERT INTO deliveries (id, webhook, event, body, due) VALUES (?, ?, ?, ?, ?)",
        [(str(uuid.uuid4()), row["key"], event, body, moment) for row in rows],
    )


def _about(db: sqlite3.Connection, job: JobRow) -> dict[str, Any]:
    """How the job stands now: `job` may be as it stood when the run began."""
    current = store.find(db, job.id) or job
    return {
        "jobId": current.id,
        "status": current.status,
        "completed": current.completed,
        "total": current.total,
        "failed": current.failed,
        "creditsUsed": current.credits,
    }


def _named(page: Page) -> dict[str, Any]:
    return {key: page[key] for key in ("url", "statusCode", "error") if key in page}
