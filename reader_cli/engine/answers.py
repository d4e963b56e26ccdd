"""Idempotency keys: the answer that a key got is the answer it gets again (contract: x-idempotency-key)."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from reader_cli.engine.store import now
from reader_cli.models import IDEMPOTENCY_HOURS


def find(db: sqlite3.Connection, key: str) -> tuple[int, bytes] | None:
    """HTTP status and body of the answer that this key got in the last 24 hours."""
    row = db.execute("SELECT status, body FROM answers WHERE key = ? AND created_at > ?", (key, _oldest())).fetchone()
    return (row["status"], row["body"]) if row else None


def keep(db: sqlite3.Connection, key: str, status: int, body: bytes) -> None:
    """Only for a 2xx: a refusal may be repeated with the same key. Forgets the answers that are too old."""
    db.execute("DELETE FROM answers WHERE created_at <= ?", (_oldest(),))
    db.execute("INSERT INTO answers (key, status, created_at, body) VALUES (?, ?, ?, ?)", (key, status, now(), body))


def _oldest() -> str:
    return (datetime.now(UTC) - timedelta(hours=IDEMPOTENCY_HOURS)).isoformat(timespec="milliseconds")
