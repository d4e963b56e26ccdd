"""What can be done with webhooks over HTTP, and their deliveries in the background."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from reader_cli.engine.changes import Changes
from reader_cli.engine.database import Database
from reader_cli.engine.faults import PageFault
from reader_cli.engine.refusals import Refused
from reader_cli.engine.webhooks import outbox, rows
from reader_cli.engine.webhooks.dispatcher import Dispatcher
from reader_cli.engine.webhooks.requests import parse_changes, parse_new
from reader_cli.engine.webhooks.sender import Sender
from reader_cli.models import MAX_WEBHOOKS, ErrorCode, Webhook


class Webhooks:
    """Every method that is given a target raises Refused where it may not be reached (contract: url_blocked)."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self._database = database
        self._sender = sender

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """The webhook with its secret, shown this once. Raises Refused, for the eleventh one too."""
        fields = parse_new(body)
        await self.check_target(fields["url"])
        webhook = await self._database.write(_create, fields)
        return {**webhook, "secret": fields["secret"]} if fields["secret"] else {**webhook}

    async def page(self, skip: int, limit: int) -> tuple[list[Webhook], int]:
        return await self._database.read(rows.page, skip, limit)

    async def update(self, webhook_id: str, body: dict[str, Any]) -> Webhook:
        fields = parse_changes(body)
        if "url" in fields:
            await self.check_target(fields["url"])
        webhook = await self._database.write(rows.update, webhook_id, fields)
        if webhook is None:
            raise _missing(webhook_id)
        return webhook

    async def delete(self, webhook_id: str) -> None:
        if not await self._database.write(rows.delete, webhook_id):
            raise _missing(webhook_id)

    async def check_target(self, url: str) -> None:
        try:
            await self._sender.check(url)
        except PageFault as fault:
            raise Refused(fault.code, fault.message, {"url": url, "reason": fault.message}) from None

    async def owe(self) -> bool:
        """Whether some delivery is still to be made."""
        return bool(await self._database.read(outbox.webhooks_with_deliveries))


@asynccontextmanager
async def open_webhooks(database: Database, changes: Changes, *, allow_private: bool) -> AsyncIterator[Webhooks]:
    """Deliveries are made while it is open. `allow_private`: to loopback and private addresses, too."""
    sender = Sender(allow_private=allow_private)
    delivering = asyncio.create_task(Dispatcher(database, changes, sender).run())
    try:
        yield Webhooks(database, sender)
    finally:
        delivering.cancel()
        with suppress(asyncio.CancelledError):
            await delivering
        await sender.close()


def _create(db: sqlite3.Connection, fields: Mapping[str, Any]) -> Webhook:
    if rows.count(db) >= MAX_WEBHOOKS:
        told = f"the workspace has {MAX_WEBHOOKS} webhooks already"
        raise Refused(ErrorCode.CONFLICT, told, {"limit": MAX_WEBHOOKS})
    created = rows.find(db, rows.create(db, fields))
    assert created is not None
    return created


def _missing(webhook_id: str) -> Refused:
    return Refused(ErrorCode.NOT_FOUND, f"there is no webhook {webhook_id}")
