"""One try of one delivery: a signed POST, and what it was answered with (contract: webhooks)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import aiohttp
from yarl import URL

from reader_cli.engine.faults import PageFault
from reader_cli.engine.network import Network
from reader_cli.engine.webhooks.outbox import Delivery
from reader_cli.engine.webhooks.rows import Target
from reader_cli.webhooks import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

SECONDS = 10.0  # that the receiver may take
LOOKUP_SECONDS = 5.0
USER_AGENT = "Reader-Webhook/1.0"
READ = (
    1 << 16
)  # bytes of an answer that are read, so that the connection can be used again; what is in it is not wanted


class Sender:
    """Goes by the rule for addresses at every try: a name may have changed its address since it was registered."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = Network()

    async def close(self) -> None:
        await self._network.close()

    async def check(self, url: str) -> None:
        """Raises PageFault for a target that may not be reached. A name that takes long to look up is let pass here."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKUP_SECONDS):
                await self._network.check(URL(url), may_be_private=self._allow_private)

    async def post(self, target: Target, delivery: Delivery) -> int | None:
        """The HTTP status, or None when there was no answer. A redirect is not followed: it is no success."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._post(target, delivery)
        except (aiohttp.ClientError, PageFault, OSError, ValueError):  # TimeoutError is an OSError
            return None

    async def _post(self, target: Target, delivery: Delivery) -> int:
        url = URL(target.url)
        route = await self._network.route(url, may_be_private=self._allow_private)
        async with route.session.post(
            url,
            data=delivery.body,
            headers=build_headers(target, delivery, int(time.time())),
            allow_redirects=False,
            proxy=route.proxy,
        ) as response:
            await response.content.read(READ)
            return response.status


def build_headers(target: Target, delivery: Delivery, timestamp: int) -> dict[str, str]:
    headers = {
        **target.headers,
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        EVENT_HEADER: delivery.event,
        DELIVERY_HEADER: delivery.id,
    }
    if target.secret:
        headers[TIMESTAMP_HEADER] = str(timestamp)
        headers[SIGNATURE_HEADER] = sign(delivery.body, timestamp, secret=target.secret)
    return headers
