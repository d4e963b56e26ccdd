"""Good pages, kept for a while: what was read within the hour is not fetched again (contract: `cache`)."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from reader_cli.engine.database import Database, Schema

logger = logging.getLogger(__name__)

KEEP_SECONDS = 3600
SCHEMA = Schema(
    """
CREATE TABLE pages (key TEXT PRIMARY KEY, created REAL NOT NULL, value BLOB NOT NULL);
CREATE INDEX pages_created ON pages (created);
""",
)


class Cache:
    """`pages.PageCache` in a file of its own. Losing it loses time only, and so does failing to write it."""

    def __init__(self, file: Path) -> None:
        self._database = Database(file, SCHEMA)

    async def open(self) -> None:
        await self._database.open()

    def close(self) -> None:
        self._database.close()

    async def get(self, key: str) -> bytes | None:
        return await self._database.read(_find, key)

    async def put(self, key: str, value: bytes) -> None:
        try:
            await self._database.write(_keep, key, value)
        except sqlite3.Error as error:
            logger.warning("a page could not be kept: %s", error)


def _find(db: sqlite3.Connection, key: str) -> bytes | None:
    row = db.execute("SELECT value FROM pages WHERE key = ? AND created > ?", (key, _oldest())).fetchone()
    return row["value"] if row else None


def _keep(db: sqlite3.Connection, key: str, value: bytes) -> None:
    db.execute("DELETE FROM pages WHERE created <= ?", (_oldest(),))
    db.execute("INSERT OR REPLACE INTO pages (key, created, value) VALUES (?, ?, ?)", (key, time.time(), value))


def _oldest() -> float:
    return time.time() - KEEP_SECONDS
