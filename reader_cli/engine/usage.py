"""What reading costs: the usage history and the credits of this month. One transaction each."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from reader_cli.engine.store import now
from reader_cli.models import Page

TIER = "local"
UNLIMITED = 1_000_000_000  # the contract's numbers have no word for "no limit"


def note(db: sqlite3.Connection, page: Page) -> None:
    """Enters one page that was read, or failed, into the history."""
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


def credits(db: sqlite3.Connection) -> dict[str, Any]:
    """GET /v1/usage/credits' data. Credits are counted by the month, in UTC."""
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    reset = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    (used,) = db.execute(
        "SELECT coalesce(sum(credits), 0) FROM usage WHERE created_at >= ?", (start.strftime("%Y-%m-%d"),)
    ).fetchone()
    return {
        "balance": UNLIMITED - used,
        "limit": UNLIMITED,
        "used": used,
        "tier": TIER,
        "resetAt": reset.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def history(db: sqlite3.Connection, skip: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """GET /v1/usage/history's entries, newest first, and how many there are in all."""
    rows = db.execute("SELECT * FROM usage ORDER BY key DESC LIMIT ? OFFSET ?", (limit, skip)).fetchall()
    (total,) = db.execute("SELECT count(*) FROM usage").fetchone()
    return [_entry(row) for row in rows], total


def _entry(row: sqlite3.Row) -> dict[str, Any]:
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
