"""Politeness toward public hosts: a few requests at a time, and none before the host said it may come."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_A_TIME = 6  # requests per host, as browsers do
LONGEST_PAUSE = 60.0  # seconds that one answer can stop a host for


class _Host:
    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_A_TIME)
        self.not_before = 0.0
        self.delay = 0.0
        self.visitors = 0


class Manners:
    """Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self._hosts: defaultdict[str, _Host] = defaultdict(_Host)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Waits until a request to `host` may start; holds one of its places until the end of the block."""
        state = self._hosts[host]
        state.visitors += 1
        try:
            async with state.places:
                now = asyncio.get_running_loop().time()
                start = max(now, state.not_before)
                state.not_before = max(state.not_before, start + state.delay)
                await asyncio.sleep(start - now)
                yield
        finally:
            state.visitors -= 1
            if not state.visitors and not state.delay and state.not_before < asyncio.get_running_loop().time():
                self._hosts.pop(host, None)

    def pause(self, host: str, seconds: float) -> None:
        """No request to `host` starts within `seconds` (an answer's Retry-After)."""
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE)
        state = self._hosts[host]
        state.not_before = max(state.not_before, until)

    def space(self, host: str, seconds: float) -> None:
        """Requests to `host` start at least `seconds` apart (robots.txt's Crawl-delay)."""
        self._hosts[host].delay = min(seconds, LONGEST_PAUSE)
