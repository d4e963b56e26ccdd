"""Server-sent events. A stream holds no pages: it reads what is new from the database whenever a bell rings.

So a stream can begin anywhere (`Last-Event-ID`), a slow reader costs only its socket, and a crash loses no event.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reader_cli.engine import results, store
from reader_cli.engine.changes import Changes
from reader_cli.engine.database import Database
from reader_cli.engine.encoding import encode
from reader_cli.engine.results import Landed
from reader_cli.engine.store import JobRow
from reader_cli.models import PING_SECONDS, Status

Frames = AsyncIterator[bytes]

PING = b": ping\n\n"
REST_SECONDS = 0.1  # between two looks of a stream, so that 200 open ones don't cost a look each at every page


def is_stream(path: str) -> bool:
    return path == "/v1/events" or path.endswith("/stream")


class EventStream(Response):
    """Sends frames until they end or the reader leaves. Each piece that `frames` yields is any number of them."""

    def __init__(self, frames: Frames) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(headers=headers, media_type="text/event-stream")
        del self.headers["content-length"]
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        tasks = {asyncio.create_task(_gone(receive)), asyncio.create_task(self._pump(send))}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()

    async def _pump(self, send: Send) -> None:
        async for frames in self._frames:
            if frames:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def job_events(database: Database, changes: Changes, job_id: str, last: int | None) -> Frames:
    """The contract's per-job stream. An event's id is the number of the last outcome that was told before or with it;
    `last` is such a number, and None begins with what happens from now on."""
    with changes.bell(job_id) as bell:
        job, told = await database.read(_beginning, job_id, last)
        yield _event("progress", told, _progress(job))
        rev = job.rev
        while job.active or told < job.seq:
            if told == job.seq and not await _rings(bell):
                yield PING
            if changes.closed:
                return
            bell.clear()
            job, landed = await database.read(_news, job_id, told)
            told = landed[-1].seq if landed else told
            yield b"".join(map(_page_event, landed))
            if told == job.seq and job.rev != rev:
                rev = job.rev
                yield _event("progress", told, _progress(job))
        yield _event("done", told, _progress(job))


async def workspace_events(database: Database, changes: Changes, last: int | None) -> Frames:
    """The contract's workspace stream. It begins with the active jobs, or with those that changed since id `last`."""
    with changes.bell() as bell:
        jobs, rev = await database.read(_since, last)
        while True:
            for job in jobs:
                rev = max(rev, job.rev)
                yield _job_event(job)
            if not await _rings(bell):
                yield PING
            if changes.closed:
                return
            bell.clear()
            jobs = await database.read(store.changed, rev)


def _beginning(db: sqlite3.Connection, job_id: str, last: int | None) -> tuple[JobRow, int]:
    """The job, and the number of the outcome after which its stream begins."""
    job = store.find(db, job_id)
    assert job is not None
    return job, job.seq if last is None else min(last, job.seq)


def _news(db: sqlite3.Connection, job_id: str, told: int) -> tuple[JobRow, list[Landed]]:
    """Both as of one moment: when all outcomes up to the job's `seq` are told, nothing is left out."""
    job = store.find(db, job_id)
    assert job is not None
    return job, results.outcomes(db, job.key, told)


def _since(db: sqlite3.Connection, last: int | None) -> tuple[list[JobRow], int]:
    """Where a workspace stream begins: its first jobs, and the revision that it has told."""
    latest = store.latest_rev(db)
    if last is None or last > latest:  # an id of another folder's would wait for revisions that are years away
        return sorted(store.active(db), key=lambda job: job.rev), latest
    return store.changed(db, last), last


def _progress(job: JobRow) -> dict[str, Any]:
    return {"status": job.status, "completed": job.completed, "total": job.total, "failed": job.failed}


def _page_event(outcome: Landed) -> bytes:
    if not outcome.failed:
        return _frame("page", outcome.seq, outcome.page)
    page = json.loads(outcome.page)
    return _event("error", outcome.seq, {"url": page["url"], "error": page["error"]})


def _job_event(job: JobRow) -> bytes:
    if job.status is Status.FAILED:
        return _event("job:failed", job.rev, {"jobId": job.id, "error": job.error})
    if job.status is Status.COMPLETED:
        done = {"jobId": job.id, **_progress(job), "creditsUsed": job.credits}
        return _event("job:completed", job.rev, done)
    return _event("job:progress", job.rev, {"jobId": job.id, **_progress(job)})


def _event(name: str, number: int, data: dict[str, Any]) -> bytes:
    return _frame(name, number, encode(data))


def _frame(name: str, number: int, data: bytes) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), number, data)


async def _rings(bell: asyncio.Event) -> bool:
    """False after a keep-alive's time of silence. Rests first: what happens meanwhile is told together."""
    await asyncio.sleep(REST_SECONDS)
    try:
        async with asyncio.timeout(PING_SECONDS):
            await bell.wait()
    except TimeoutError:
        return False
    return True


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
