"""Synchronous scrapes: one page, read while the caller waits."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from reader_cli.engine import answers
from reader_cli.engine.database import Database
from reader_cli.engine.encoding import success
from reader_cli.engine.options import ReadRequest
from reader_cli.engine.pages import PageReader
from reader_cli.engine.refusals import Refused
from reader_cli.engine.usage import Account
from reader_cli.models import ErrorCode, Page

OK = 200


class Scrapes:
    def __init__(self, database: Database, account: Account, reader: PageReader, slots: asyncio.Semaphore) -> None:
        self._database = database
        self._account = account
        self._reader = reader
        self._slots = slots

    async def scrape(self, request: ReadRequest, key: str | None) -> bytes:
        """The answer's body, kept for the idempotency key. Raises Refused, also where the page can't be read."""
        cost = request.options.read.credits
        await self._database.write(self._account.admit_scrape, cost)
        try:
            return await self._scrape(request, key)
        finally:
            self._account.release(cost)

    async def _scrape(self, request: ReadRequest, key: str | None) -> bytes:
        options = request.options.read
        async with self._slots:
            outcome = await self._reader.read(request.urls[0], options, trusted=True)
        body = success(outcome.page)
        key = key if outcome.problem is None else None
        await self._database.write(_note, self._account, outcome.page, body, key)
        if outcome.problem:
            details = _details(outcome.problem, outcome.page, options.timeout_ms)
            raise Refused(outcome.problem, outcome.page["error"], details)
        return body


def _note(db: sqlite3.Connection, account: Account, page: Page, body: bytes, key: str | None) -> None:
    account.note(db, page)
    if key:
        answers.keep(db, key, OK, body)


def _details(problem: ErrorCode, page: Page, timeout_ms: int) -> dict[str, Any]:
    if problem == ErrorCode.URL_BLOCKED:
        return {"url": page["url"], "reason": page["error"]}
    if problem == ErrorCode.SCRAPE_TIMEOUT:
        return {"timeoutMs": timeout_ms}
    if problem == ErrorCode.INVALID_REQUEST:  # only the page could tell: a selector that matches nothing, a redirect
        return {"issues": [{"path": "", "message": page["error"]}]}
    return {"url": page["url"]}
