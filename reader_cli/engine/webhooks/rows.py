"""Webhooks in the database, those of the workspace and those that came with a job. One transaction each."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reader_cli.engine.options import WebhookOptions
from reader_cli.engine.store import now
from reader_cli.models import Webhook, WebhookEvent

WORKSPACE = 0  # in place of a job's key
OF_A_JOB = tuple(event for event in WebhookEvent if event.startswith("job."))

# `job` is a job's key, and 0 for the webhooks of the workspace; a key is never used again, so that what is still on its
# way cannot be counted for another webhook. A delivery is there until it succeeded or failed for good; `due` is in unix
# seconds. What a deleted webhook or job is owed goes with it, whoever deletes it.
SCHEMA = """
CREATE TABLE IF NOT EXISTS webhooks (
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job INTEGER NOT NULL, url TEXT NOT NULL,
  name TEXT NOT NULL, events TEXT NOT NULL, headers TEXT NOT NULL, secret TEXT, active INTEGER NOT NULL DEFAULT 1,
  attempts INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, last_at TEXT, last_status INTEGER,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS webhooks_job ON webhooks (job);
CREATE TABLE IF NOT EXISTS deliveries (
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, webhook INTEGER NOT NULL, event TEXT NOT NULL,
  body BLOB NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (webhook, due);
CREATE TRIGGER IF NOT EXISTS job_without_webhooks AFTER DELETE ON jobs
  BEGIN DELETE FROM webhooks WHERE job = OLD.key; END;
CREATE TRIGGER IF NOT EXISTS webhook_without_deliveries AFTER DELETE ON webhooks
  BEGIN DELETE FROM deliveries WHERE webhook = OLD.key; END;
CREATE TRIGGER IF NOT EXISTS webhook_switched_off AFTER UPDATE OF active ON webhooks WHEN NOT NEW.active
  BEGIN DELETE FROM deliveries WHERE webhook = OLD.key; END;
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where deliveries of one webhook go, and what they are signed with."""

    key: int
    url: str
    headers: Mapping[str, str]
    secret: str | None

    def __repr__(self) -> str:
        return f"Target({self.key})"  # a secret never reaches a traceback


def create(db: sqlite3.Connection, fields: Mapping[str, Any], job: int = WORKSPACE) -> str:
    """`fields` are the wire's: url, name, events, headers, secret. Returns its id."""
    moment = now()
    row = {**_columns(fields), "id": "wh_" + secrets.token_hex(8), "job": job}
    row |= {"created_at": moment, "updated_at": moment}
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO webhooks ({names}) VALUES ({marks})", row)
    return str(row["id"])


def attach(db: sqlite3.Connection, job: int, options: WebhookOptions) -> None:
    """A webhook for one job alone, in no list and for as long as the job is there: a retry has events, too."""
    fields = {"url": options.url, "name": "", "events": options.events or OF_A_JOB, "headers": {}}
    create(db, {**fields, "secret": options.secret}, job)


def find(db: sqlite3.Connection, webhook_id: str) -> Webhook | None:
    """A webhook of the workspace."""
    row = db.execute("SELECT * FROM webhooks WHERE id = ? AND job = ?", (webhook_id, WORKSPACE)).fetchone()
    return _wire(row) if row else None


def page(db: sqlite3.Connection, skip: int, limit: int) -> tuple[list[Webhook], int]:
    """The workspace's, oldest first, and how many there are in all."""
    rows = db.execute(
        "SELECT * FROM webhooks WHERE job = ? ORDER BY key LIMIT ? OFFSET ?", (WORKSPACE, limit, skip)
    ).fetchall()
    return [_wire(row) for row in rows], count(db)


def count(db: sqlite3.Connection) -> int:
    (number,) = db.execute("SELECT count(*) FROM webhooks WHERE job = ?", (WORKSPACE,)).fetchone()
    return int(number)


def update(db: sqlite3.Connection, webhook_id: str, fields: Mapping[str, Any]) -> Webhook | None:
    """Changes just the `fields` that are there."""
    row = _columns(fields) | {"updated_at": now()}
    changes = ", ".join(f"{name} = :{name}" for name in row)
    db.execute(f"UPDATE webhooks SET {changes} WHERE id = :id AND job = {WORKSPACE}", row | {"id": webhook_id})
    return find(db, webhook_id)


def delete(db: sqlite3.Connection, webhook_id: str) -> bool:
    return db.execute("DELETE FROM webhooks WHERE id = ? AND job = ?", (webhook_id, WORKSPACE)).rowcount == 1


def target(db: sqlite3.Connection, key: int) -> Target | None:
    row = db.execute("SELECT url, headers, secret FROM webhooks WHERE key = ?", (key,)).fetchone()
    return Target(key, row["url"], json.loads(row["headers"]), row["secret"]) if row else None


def _columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    packed: dict[str, Any] = dict(fields)
    if "events" in fields:
        packed["events"] = " ".join(fields["events"])
    if "headers" in fields:
        packed["headers"] = json.dumps(fields["headers"])
    return packed


def _wire(row: sqlite3.Row) -> Webhook:
    return {
        "id": row["id"],
        "url": row["url"],
        "name": row["name"],
        "events": row["events"].split(),
        "headers": json.loads(row["headers"]),
        "active": bool(row["active"]),
        "deliveryStats": {
            "totalAttempts": row["attempts"],
            "failedDeliveries": row["failed"],
            "lastDeliveryAt": row["last_at"],
            "lastDeliveryStatus": row["last_status"],
        },
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }
