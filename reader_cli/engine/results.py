"""Outcomes in the database: how they land, and how they are read back in slices. One transaction each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reader_cli.engine import store
from reader_cli.engine.store import NEXT_REV, Item, JobRow, State

SLICE_BYTES = 1 << 18  # of one read; a slice has one entry at least, however large


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an item: its PAGE as JSON, and in a crawl what it led to. `page` None is a duplicate's."""

    item: Item
    page: bytes | None
    failed: bool
    credits: int
    identity: str | None = None
    found: Sequence[Item] = field(default=())
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Landed:
    seq: int
    failed: bool
    page: bytes


def record(db: sqlite3.Connection, job: JobRow, ended: Ended) -> bool:
    """Lands an outcome; False when it comes too late: the run is over, or the item has its outcome already."""
    if not _open(db, job, ended.item):
        return False
    state = State.DUPLICATE if ended.page is None else State.FAILED if ended.failed else State.DONE
    db.execute(
        "UPDATE items SET state = ?, identity = ? WHERE job = ? AND n = ?",
        (state, ended.identity, job.key, ended.item.n),
    )
    store.add_items(db, job.key, ended.found)
    total = "max(coalesce(?, total), entries)"  # a retried page may turn out to be another that was read
    db.execute(f"UPDATE jobs SET total = {total}, rev = {NEXT_REV} WHERE key = ?", (ended.total, job.key))
    if ended.page is not None:
        _place(db, job.key, ended.item.n, ended.page, ended.failed)
        _count(db, job.key, ended)
    return True


def entries(db: sqlite3.Connection, key: int, start: int, stop: int) -> list[bytes]:
    """The PAGEs at the places from `start` up to `stop`, or fewer where they are large; never none while some exist."""
    rows = db.execute(
        "SELECT page FROM results WHERE job = ? AND position >= ? AND position < ? ORDER BY position",
        (key, start, stop),
    )
    return [row["page"] for row in _slice(rows)]


def outcomes(db: sqlite3.Connection, key: int, after: int) -> list[Landed]:
    """Outcomes that came after number `after`, oldest first, in slices like `entries`."""
    rows = db.execute("SELECT seq, failed, page FROM results WHERE job = ? AND seq > ? ORDER BY seq", (key, after))
    return [Landed(row["seq"], bool(row["failed"]), row["page"]) for row in _slice(rows)]


def _slice(rows: Iterable[sqlite3.Row]) -> Iterable[sqlite3.Row]:
    size = 0
    for row in rows:
        yield row
        size += len(row["page"])
        if size >= SLICE_BYTES:
            return


def _open(db: sqlite3.Connection, job: JobRow, item: Item) -> bool:
    current = store.find(db, job.id)
    if current is None or not current.active or current.run != job.run:
        return False
    row = db.execute("SELECT state FROM items WHERE job = ? AND n = ?", (job.key, item.n)).fetchone()
    return row is not None and row["state"] == State.WAITING


def _place(db: sqlite3.Connection, key: int, n: int, page: bytes, failed: bool) -> None:
    """A first outcome goes to the end, that of a retry to where the old entry stands."""
    (place, seq) = db.execute("SELECT entries, seq + 1 FROM jobs WHERE key = ?", (key,)).fetchone()
    (position,) = db.execute("SELECT position FROM items WHERE job = ? AND n = ?", (key, n)).fetchone()
    if position is None:
        position = place
        db.execute("UPDATE items SET position = ? WHERE job = ? AND n = ?", (position, key, n))
        db.execute("UPDATE jobs SET entries = entries + 1 WHERE key = ?", (key,))
    db.execute("DELETE FROM results WHERE job = ? AND position = ?", (key, position))
    db.execute(
        "INSERT INTO results (job, position, seq, failed, page) VALUES (?, ?, ?, ?, ?)",
        (key, position, seq, failed, page),
    )


def _count(db: sqlite3.Connection, key: int, ended: Ended) -> None:
    db.execute(
        "UPDATE jobs SET seq = seq + 1, completed = completed + 1, failed = failed + ?, credits = credits + ?"
        " WHERE key = ?",
        (ended.failed, ended.credits, key),
    )
