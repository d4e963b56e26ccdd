"""Runs jobs: reads their pages and lands the outcomes, until none is left, somebody cancels, or the engine stops."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass, field

import aiohttp
import msgspec

from reader_cli.engine import results, store
from reader_cli.engine.changes import Changes
from reader_cli.engine.crawl import Frontier
from reader_cli.engine.database import Database
from reader_cli.engine.options import JobOptions
from reader_cli.engine.pages import PageReader
from reader_cli.engine.plans import BatchPlan, CrawlPlan, Plan
from reader_cli.engine.results import Ended
from reader_cli.engine.store import Item, JobRow
from reader_cli.engine.usage import Account
from reader_cli.engine.webhooks import outbox
from reader_cli.models import Mode, Page, Status

logger = logging.getLogger(__name__)

DISK_PAUSE = 2.0  # seconds between two tries to write a job's end


@dataclass
class _Work:
    """What the pages of one run share. Cookies are set and sent within a job only."""

    job: JobRow
    options: JobOptions
    plan: Plan
    cookies: aiohttp.CookieJar = field(default_factory=lambda: aiohttp.CookieJar(unsafe=True))


class Runner:
    """`slots` bounds the pages that are read at a time, over all jobs; jobs take turns at them."""

    def __init__(
        self, database: Database, account: Account, reader: PageReader, changes: Changes, slots: asyncio.Semaphore
    ) -> None:
        self._database = database
        self._account = account
        self._reader = reader
        self._changes = changes
        self._slots = slots
        self._runs: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._closing = False

    async def run(self, job_id: str, number: int) -> None:
        """Returns when this run is over. Is cancelled, and so comes back at the next start, when the engine stops."""
        try:
            await self.begin(job_id, number)
        except asyncio.CancelledError:
            outer = asyncio.current_task()
            if self._closing or (outer and outer.cancelling()):
                raise

    def begin(self, job_id: str, number: int) -> asyncio.Task[None]:
        """Works on this run from now on. Harmless while it does, and when the run is over."""
        key = job_id, number
        if key not in self._runs:
            self._runs[key] = asyncio.create_task(self._run(*key))
            self._runs[key].add_done_callback(lambda _: self._runs.pop(key))
        return self._runs[key]

    def stop(self, job: JobRow) -> None:
        """For a job that was cancelled in the database: ends the reading of pages whose outcome nobody wants."""
        if task := self._runs.get((job.id, job.run)):
            task.cancel()

    async def close(self) -> None:
        self._closing = True
        for task in (tasks := list(self._runs.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job_id: str, number: int) -> None:
        async with self._slots:  # contract: it is queued until something can be fetched for it
            job = await self._database.write(_begin, job_id, number)
        if job is None:
            return
        self._changes.ring(job_id)
        try:
            await self._read_all(job)
        except Exception as error:
            logger.exception("job %s broke", job_id)
            await self._finish(job, Status.FAILED, f"{type(error).__name__}: {error}")
        else:
            await self._finish(job, Status.COMPLETED)

    async def _finish(self, job: JobRow, status: Status, error: str | None = None) -> None:
        """Tries until it is written: a full disk must not leave a job that is active for ever."""
        while True:
            try:
                await self._database.write(_finish, job, status, error)
                return self._changes.ring(job.id)
            except sqlite3.Error:
                logger.exception("the end of job %s could not be written", job.id)
                await asyncio.sleep(DISK_PAUSE)

    async def _read_all(self, job: JobRow) -> None:
        work = await self._prepare(job)
        reading: set[asyncio.Task[None]] = set()
        try:
            while await self._fill(reading, work):
                ended, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
                reading -= ended
                for task in ended:
                    task.result()
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _prepare(self, job: JobRow) -> _Work:
        options = msgspec.json.decode(job.request, type=JobOptions)
        return _Work(job, options, await self._plan(job, options))

    async def _plan(self, job: JobRow, options: JobOptions) -> Plan:
        items = await self._database.read(store.items, job.key)
        if job.mode is not Mode.CRAWL:
            return BatchPlan(items)
        robots = await self._reader.robots(items[0].url, trusted=True)
        frontier = Frontier(
            items[0].url, max_depth=options.max_depth, max_pages=options.max_pages, allows=robots.allows
        )
        return CrawlPlan(frontier, items)

    async def _fill(self, reading: set[asyncio.Task[None]], work: _Work) -> bool:
        """Starts pages until the job has its share of them; False when none is under way."""
        while len(reading) < work.options.concurrency and (item := work.plan.take()):
            await self._slots.acquire()
            task = asyncio.create_task(self._read(work, item))
            task.add_done_callback(lambda _: self._slots.release())
            reading.add(task)
        return bool(reading)

    async def _read(self, work: _Work, item: Item) -> None:
        outcome = await self._reader.read(item.url, work.options.read, trusted=item.trusted, cookies=work.cookies)
        ended = work.plan.ended(item, outcome)
        if await self._database.write(_land, self._account, work.job, ended, outcome.page):
            self._changes.ring(work.job.id)


def _begin(db: sqlite3.Connection, job_id: str, number: int) -> JobRow | None:
    before = store.find(db, job_id)
    job = store.begin(db, job_id, number)
    if job and before and before.status is Status.QUEUED:  # and not a run that goes on after a crash
        outbox.started(db, job)
    return job


def _finish(db: sqlite3.Connection, job: JobRow, status: Status, error: str | None) -> None:
    if store.finish(db, job, status, error):
        outbox.ended(db, job, status, error)


def _land(db: sqlite3.Connection, account: Account, job: JobRow, ended: Ended, page: Page) -> bool:
    landed = results.record(db, job, ended)
    if landed and ended.page is not None:
        account.note(db, page)
        outbox.page(db, job, page)
    return landed
