"""Good pages, kept for a while: what was just read is not fetched again (contract: `cache`)."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from reader_cli.engine.database import Database, Schema, Unusable, give_back, remove, used_bytes

logger = logging.getLogger(__name__)

SHRUNK = 500  # pages at a time
SCHEMA = Schema(
    """
CREATE TABLE pages (key TEXT PRIMARY KEY, created REAL NOT NULL, value BLOB NOT NULL);
CREATE INDEX pages_created ON pages (created);
""",
)


class Cache:
    """`pages.PageCache` in a file of its own, where pages are fresh for `seconds`.

    Losing it loses time only: a file that can't be read is replaced, a page that can't be written is left out.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self._file = file
        self._seconds = seconds
        self._database = Database(file, SCHEMA)

    async def open(self) -> None:
        try:
            await self._database.open()
        except Unusable:
            logger.warning("the cache cannot be read; it begins anew")
            self.close()
            remove(self._file)
            self._database = Database(self._file, SCHEMA)
            await self._database.open()

    def close(self) -> None:
        self._database.close()

    async def get(self, key: str) -> bytes | None:
        return await self._database.read(_find, key, self._oldest())

    async def put(self, key: str, value: bytes) -> None:
        try:
            await self._database.write(_keep, key, value, self._oldest())
        except sqlite3.Error as error:
            logger.warning("a page could not be kept: %s", error)

    async def shrink(self, most: int) -> None:
        """To so many bytes at most, the oldest pages first."""
        while await self._database.read(used_bytes) > most and await self._database.write(_forget_some):
            pass
        await self._database.write(give_back)

    def _oldest(self) -> float:
        return time.time() - self._seconds


def _find(db: sqlite3.Connection, key: str, oldest: float) -> bytes | None:
    row = db.execute("SELECT value FROM pages WHERE key = ? AND created > ?", (key, oldest)).fetchone()
    return row["value"] if row else None


def _keep(db: sqlite3.Connection, key: str, value: bytes, oldest: float) -> None:
    db.execute("DELETE FROM pages WHERE created <= ?", (oldest,))
    db.execute("INSERT OR REPLACE INTO pages (key, created, value) VALUES (?, ?, ?)", (key, time.time(), value))


def _forget_some(db: sqlite3.Connection) -> bool:
    some = "SELECT key FROM pages ORDER BY created LIMIT ?"
    return db.execute(f"DELETE FROM pages WHERE key IN ({some})", (SHRUNK,)).rowcount > 0
