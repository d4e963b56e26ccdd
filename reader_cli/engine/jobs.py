"""What can be done with jobs: submit, look, cancel, retry. What a job is stands in the database."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Awaitable, Callable

import msgspec

from reader_cli.engine import answers, store
from reader_cli.engine.changes import Changes
from reader_cli.engine.database import Database
from reader_cli.engine.encoding import encode, success
from reader_cli.engine.options import JobOptions, ReadRequest
from reader_cli.engine.refusals import Refused, invalid
from reader_cli.engine.store import JobRow
from reader_cli.engine.usage import Account
from reader_cli.engine.webhooks import rows as webhooks
from reader_cli.models import ErrorCode, Status

Start = Callable[[str, int], Awaitable[None]]
Stop = Callable[[JobRow], None]

CREATED = 201


class Jobs:
    """`start` makes a run durable, `stop` ends the work of a run that was cancelled."""

    def __init__(self, database: Database, account: Account, changes: Changes, start: Start, stop: Stop) -> None:
        self._database = database
        self._account = account
        self._changes = changes
        self._start = start
        self._stop = stop

    async def recover(self) -> None:
        """Starts what was accepted by an engine that died before it could start it."""
        for job in await self._database.read(store.active):
            await self._start(job.id, job.run)

    async def get(self, job_id: str) -> JobRow:
        """Raises Refused."""
        return await self._database.read(_find, job_id)

    async def submit(self, request: ReadRequest, key: str | None) -> bytes:
        """Accepts a batch or a crawl. Returns the answer's body, which the idempotency key gets from now on.
        Raises Refused."""
        job, body = await self._database.write(_create, self._account, request, key)
        await self._start(job.id, job.run)
        self._changes.ring(job.id)
        return body

    async def cancel(self, job_id: str) -> JobRow:
        """The job as it stays. Raises Refused for a terminal one."""
        job = await self._database.write(_cancel, job_id)
        self._stop(job)
        self._changes.ring(job_id)
        return job

    async def retry(self, job_id: str) -> tuple[JobRow, int]:
        """The job, queued again, and how many of its URLs are. Raises Refused."""
        job, retrying = await self._database.write(_retry, self._account, job_id)
        await self._start(job.id, job.run)
        self._changes.ring(job_id)
        return job, retrying


def _find(db: sqlite3.Connection, job_id: str) -> JobRow:
    if job := store.find(db, job_id):
        return job
    raise Refused(ErrorCode.NOT_FOUND, f"there is no job {job_id}")


def _create(db: sqlite3.Connection, account: Account, request: ReadRequest, key: str | None) -> tuple[JobRow, bytes]:
    """The job and the answer to its key in one transaction: no crash lets a repeated request start a second job."""
    account.admit_job(db, request.most_credits)
    job_id, options = "job_" + secrets.token_hex(8), encode(request.options)
    job = store.create(db, job_id, request.mode, options, request.urls, budget=request.most_credits)
    if request.webhook:
        webhooks.attach(db, job.key, request.webhook)
    body = success(job.summary())
    if key:
        answers.keep(db, key, CREATED, body)
    return job, body


def _cancel(db: sqlite3.Connection, job_id: str) -> JobRow:
    job = _find(db, job_id)
    if not store.finish(db, job, Status.CANCELLED):
        raise Refused(ErrorCode.CONFLICT, f"the job is {job.status} already", {"status": job.status})
    return _find(db, job_id)


def _retry(db: sqlite3.Connection, account: Account, job_id: str) -> tuple[JobRow, int]:
    job = _find(db, job_id)
    if job.active:
        raise Refused(ErrorCode.CONFLICT, f"the job is still {job.status}", {"status": job.status})
    retrying = store.count_retryable(db, job)
    if not retrying:
        raise invalid(("", "none of the job's URLs failed: there is nothing to retry"))
    cost = retrying * msgspec.json.decode(job.request, type=JobOptions).read.credits
    account.admit_job(db, cost)
    store.retry(db, job, retrying, budget=cost)
    return _find(db, job_id), retrying
