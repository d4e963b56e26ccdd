"""What the engine forgets, so that its folder does not grow without end: old jobs, old usage, and too much of both.

Space that was freed is used again, and files of folders made by this version shrink as well.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reader_cli.engine import store
from reader_cli.engine.cache import Cache
from reader_cli.engine.database import Database, give_back, used_bytes
from reader_cli.engine.usage import month_start

logger = logging.getLogger(__name__)

PAUSE = 60.0  # seconds between two looks
YOUNG = timedelta(days=1)  # a job that ended since then is kept even where the disk has no room
CACHE_SHARE = 10  # the cache has one part in so many of the disk


@dataclass(frozen=True, slots=True)
class Retention:
    """`age` of an ended job and of usage entries; `disk` in bytes; `cache_seconds` of a page that was read."""

    age: timedelta
    disk: int
    cache_seconds: float


class Keeper:
    """`forget_runs` makes DBOS forget those that are over."""

    def __init__(
        self, database: Database, cache: Cache, retention: Retention, forget_runs: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._cache = cache
        self._retention = retention
        self._forget_runs = forget_runs

    async def run(self) -> None:
        """Until it is cancelled. A disk that fails is tried again."""
        while True:
            try:
                await self._look()
            except sqlite3.Error:
                logger.exception("old jobs could not be deleted")
            await asyncio.sleep(PAUSE)

    async def _look(self) -> None:
        await self._forget_runs()
        before = datetime.now(UTC) - self._retention.age
        while await self._database.write(_forget_job, _iso(before)):
            pass
        await self._database.write(_forget_usage, _iso(min(before, month_start())))
        await self._cache.shrink(self._retention.disk // CACHE_SHARE)
        await self._make_room(self._retention.disk - self._retention.disk // CACHE_SHARE)
        await self._database.write(give_back)

    async def _make_room(self, most: int) -> None:
        while await self._database.read(used_bytes) > most:
            if not await self._database.write(_forget_job, _iso(datetime.now(UTC) - YOUNG)):
                logger.warning("jobs take more than %d bytes, and none that may be deleted is left", most)
                return


def _forget_job(db: sqlite3.Connection, before: str) -> bool:
    """Deletes the job that ended first, if that was before then."""
    key = store.oldest_ended(db, before)
    if key is not None:
        store.delete(db, key)
    return key is not None


def _forget_usage(db: sqlite3.Connection, before: str) -> None:
    """This month's entries stay: they are what credits are counted from."""
    db.execute("DELETE FROM usage WHERE created_at < ?", (before,))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
