"""Takes deliveries out of the outbox and to their receivers, beside the jobs and never in their way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from itertools import groupby
from typing import NamedTuple

from reader_cli.engine.changes import Changes
from reader_cli.engine.database import Database
from reader_cli.engine.webhooks import outbox, rows
from reader_cli.engine.webhooks.outbox import Delivery
from reader_cli.engine.webhooks.rows import Target
from reader_cli.engine.webhooks.sender import Sender

logger = logging.getLogger(__name__)

AT_ONCE = 32  # tries over all webhooks
LANE = 4  # tries of one webhook: a receiver that hangs holds up nobody else
REST_SECONDS = 0.05  # between two looks, so that busy jobs cost one look and not as many
DEAD_PAUSE = 0.5  # seconds, where nobody answers: to find that out thousands of times costs what the jobs need
DISK_PAUSE = 2.0  # seconds, where the database can't be read or written


class Dispatcher:
    """Each webhook that is owed something has a lane, which holds a few deliveries; the others wait on disk."""

    def __init__(self, database: Database, changes: Changes, sender: Sender) -> None:
        self._database = database
        self._changes = changes
        self._sender = sender
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._lanes: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until it is cancelled. What is under way then is tried again by the next engine."""
        try:
            with self._changes.bell() as bell:
                while True:
                    bell.clear()
                    pause = await self._look(bell)
                    await asyncio.sleep(REST_SECONDS)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await bell.wait()
        finally:
            for lane in (lanes := list(self._lanes.values())):
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _look(self, bell: asyncio.Event) -> float | None:
        """Opens the lanes; returns the seconds until the next one is to be opened, None where none is in sight."""
        try:
            owed = await self._database.read(outbox.webhooks_with_deliveries)
        except sqlite3.Error:
            logger.exception("the deliveries of webhooks cannot be read")
            return DISK_PAUSE
        now = time.time()
        for webhook, due in owed:
            if due <= now and webhook not in self._lanes:
                self._lanes[webhook] = asyncio.create_task(self._drain(webhook, bell))
        return min((due - now for _, due in owed if due > now), default=None)

    async def _drain(self, webhook: int, bell: asyncio.Event) -> None:
        """One lane. It rings when it ends: something may have come meanwhile."""
        try:
            while (batch := await self._database.read(_batch, webhook)) and batch.deliveries:
                # One kind after the other, so that a job's start is told before its pages and its end after them.
                for _, alike in groupby(batch.deliveries, key=lambda delivery: delivery.event):
                    await self._deliver(batch.target, list(alike))
        except sqlite3.Error:
            logger.exception("the deliveries of a webhook cannot be kept")
            await asyncio.sleep(DISK_PAUSE)
        finally:
            del self._lanes[webhook]
            bell.set()

    async def _deliver(self, target: Target, deliveries: list[Delivery]) -> None:
        statuses = await asyncio.gather(*(self._post(target, delivery) for delivery in deliveries))
        await self._database.write(_settle, target.key, list(zip(deliveries, statuses, strict=True)))
        if not any(statuses):
            await asyncio.sleep(DEAD_PAUSE)

    async def _post(self, target: Target, delivery: Delivery) -> int | None:
        async with self._slots:
            return await self._sender.post(target, delivery)


class _Batch(NamedTuple):
    target: Target
    deliveries: list[Delivery]


def _batch(db: sqlite3.Connection, webhook: int) -> _Batch | None:
    target = rows.target(db, webhook)
    return _Batch(target, outbox.due(db, webhook, LANE)) if target else None


def _settle(db: sqlite3.Connection, webhook: int, tried: list[tuple[Delivery, int | None]]) -> None:
    for delivery, status in tried:
        outbox.settle(db, webhook, delivery, status)
