"""Deliveries on this machine's disk: those that their target has not taken yet, and for a week those that it has."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reader_cli.env import state_dir
from reader_cli.errors import NothingToDo
from reader_cli.webhooks.delivery import Delivery

KEPT_SECONDS = 7 * 86400.0
KEPT_DONE = 10_000  # deliveries that were taken: to know a repeated one, and for `resend`

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
  seq INTEGER PRIMARY KEY, target TEXT NOT NULL, id TEXT NOT NULL, headers TEXT NOT NULL, received REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, done INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (id, target)
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (target, due) WHERE NOT done;
"""
_KEPT = "SELECT seq, target, tries, due, headers, body, received FROM deliveries"


@dataclass(frozen=True, slots=True)
class Kept:
    """`target` is where it is to go, empty where it was only shown; `tries` failed. `due` is in unix seconds."""

    seq: int
    target: str
    tries: int
    due: float
    delivery: Delivery


class Spool:
    """One file for all listeners of this user, whom alone it can be read by. Times are unix seconds; safe to use from
    several threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / "deliveries.db"
        os.close(_open_private(path))
        self._folder = folder
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def reserved(self, target: str) -> Iterator[None]:
        """Two listeners that work off one target's deliveries would each send them. Raises NothingToDo."""
        name = hashlib.sha256(target.encode()).hexdigest()[:16]
        with os.fdopen(_open_private(self._folder / f"{name}.lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise NothingToDo(f"another `reader webhooks listen` forwards to {target} already") from None
            yield

    def knows(self, delivery_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM deliveries WHERE id = ? LIMIT 1", (delivery_id,)))

    def add(self, delivery: Delivery, targets: Sequence[str]) -> None:
        """It is on disk when this returns. Without targets it is kept as done."""
        headers, received = json.dumps(delivery.headers), delivery.received
        with self._lock, self._db:
            self._db.executemany(
                "INSERT OR IGNORE INTO deliveries (target, id, headers, received, due, done, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (target, delivery.id, headers, received, received, not target, delivery.body)
                    for target in targets or [""]
                ],
            )

    def first(self, target: str) -> Kept | None:
        """What is due next, maybe in the future."""
        rows = self._rows(f"{_KEPT} WHERE target = ? AND NOT done ORDER BY due, seq LIMIT 1", (target,))
        return _kept(rows[0]) if rows else None

    def find(self, delivery_id: str) -> list[Kept]:
        """One for each target."""
        return [_kept(row) for row in self._rows(f"{_KEPT} WHERE id = ? ORDER BY seq", (delivery_id,))]

    def count_waiting(self, target: str) -> int:
        return int(self._rows("SELECT count(*) FROM deliveries WHERE target = ? AND NOT done", (target,))[0][0])

    def done(self, kept: Kept) -> None:
        self._rows("UPDATE deliveries SET done = 1 WHERE seq = ?", (kept.seq,))

    def put_back(self, kept: Kept, due: float) -> None:
        self._rows("UPDATE deliveries SET tries = tries + 1, due = ? WHERE seq = ?", (due, kept.seq))

    def prune(self, now: float) -> int:
        """Forgets what is old, and returns how many of it no target had taken."""
        self._rows(
            "DELETE FROM deliveries WHERE done AND (received < ? OR seq <= (SELECT max(seq) FROM deliveries) - ?)",
            (now - KEPT_SECONDS, KEPT_DONE),
        )
        return len(self._rows("DELETE FROM deliveries WHERE received < ? RETURNING seq", (now - KEPT_SECONDS,)))

    def _rows(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def webhooks_dir() -> Path:
    """Where deliveries and this machine's own secret are kept. Created by who writes there, mode 0700."""
    return state_dir() / "webhooks"


def _open_private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _kept(row: tuple[Any, ...]) -> Kept:
    seq, target, tries, due, headers, body, received = row
    pairs = tuple((name, value) for name, value in json.loads(headers))
    return Kept(seq, target, tries, due, Delivery(pairs, body, received))
