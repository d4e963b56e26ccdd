"""What reading costs: the usage history, the credits of this month, and who is refused for want of them."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from threading import Lock

from reader_cli.engine import store
from reader_cli.engine.limits import Limits
from reader_cli.engine.refusals import Refused
from reader_cli.engine.store import now
from reader_cli.engine.webhooks import outbox
from reader_cli.models import Credits, ErrorCode, Page, UsageEntry

UNLIMITED = 1_000_000_000  # the contract's numbers have no word for "no limit"
LOW = 0.1  # of the credits; `credit.low` is sent once a month, when less than that is left


class Account:
    """Credits are counted by the month, in UTC. Every method is one part of a transaction."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._limit = UNLIMITED if limits.credits is None else limits.credits
        self._held = 0  # for scrapes that are under way
        self._holding = Lock()

    def admit_job(self, db: sqlite3.Connection, cost: int) -> None:
        """Raises Refused where another active job, or one that costs so many credits at most, is too much."""
        active, most = sum(store.count_active(db)), self._limits.active_jobs
        if most is not None and active >= most:
            told = f"{active} jobs are active, and {most} may be"
            raise Refused(ErrorCode.CONCURRENCY_LIMITED, told, {"active": active, "max": most})
        self._admit(db, cost)

    def admit_scrape(self, db: sqlite3.Connection, cost: int) -> None:
        """Holds so many credits until `release`. Raises Refused where fewer are left."""
        self._admit(db, cost)
        self._hold(cost)

    def release(self, cost: int) -> None:
        """Of any thread, and outside of transactions."""
        self._hold(-cost)

    def _hold(self, cost: int) -> None:
        with self._holding:
            self._held += cost

    def _admit(self, db: sqlite3.Connection, cost: int) -> None:
        """What active jobs and scrapes may still use is not there for others."""
        if self._limits.credits is None:
            return
        available = max(0, self._limit - _used(db) - store.reserved_credits(db) - self._held)
        if cost > available:
            details = {"required": cost, "available": available, "resetAt": _reset_at()}
            told = f"this may cost {cost} credits, and {available} are available"
            raise Refused(ErrorCode.INSUFFICIENT_CREDITS, told, details)

    def note(self, db: sqlite3.Connection, page: Page) -> None:
        """Enters one page that was read, or failed, into the history."""
        _enter(db, page)
        cost, low = page.get("credits", 0), self._limit * LOW
        if self._limits.credits is not None and cost:
            left = self._limit - _used(db)
            if left < low <= left + cost:
                outbox.credit_low(db, self.credits(db))

    def credits(self, db: sqlite3.Connection) -> Credits:
        """GET /v1/usage/credits' data."""
        used = _used(db)
        return {
            "balance": max(0, self._limit - used),
            "limit": self._limit,
            "used": used,
            "tier": self._limits.tier,
            "resetAt": _reset_at(),
        }


def history(db: sqlite3.Connection, skip: int, limit: int) -> tuple[list[UsageEntry], int]:
    """GET /v1/usage/history's entries, newest first, and how many there are in all."""
    rows = db.execute("SELECT * FROM usage ORDER BY key DESC LIMIT ? OFFSET ?", (limit, skip)).fetchall()
    (total,) = db.execute("SELECT count(*) FROM usage").fetchone()
    return [_entry(row) for row in rows], total


def month_start() -> datetime:
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _reset_at() -> str:
    start = month_start()
    reset = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return reset.strftime("%Y-%m-%dT%H:%M:%SZ")


def _used(db: sqlite3.Connection) -> int:
    month = month_start().strftime("%Y-%m-%d")
    (used,) = db.execute("SELECT coalesce(sum(credits), 0) FROM usage WHERE created_at >= ?", (month,)).fetchone()
    return int(used)


def _enter(db: sqlite3.Connection, page: Page) -> None:
    metadata, error = page.get("metadata", {}), page.get("error")
    db.execute(
        "INSERT INTO usage (url, duration, failed, cached, proxy_mode, credits, error, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            page["url"],
            metadata.get("duration", 0),
            error is not None,
            metadata.get("cached", False),
            page.get("proxyMode", "standard"),
            page.get("credits", 0),
            error,
            now(),
        ),
    )


def _entry(row: sqlite3.Row) -> UsageEntry:
    return {
        "id": f"use_{row['key']}",
        "url": row["url"],
        "duration": row["duration"],
        "status": "error" if row["failed"] else "success",
        "cached": bool(row["cached"]),
        "proxyMode": row["proxy_mode"],
        "credits": row["credits"],
        "error": row["error"],
        "createdAt": row["created_at"],
    }
