"""From a page that was fetched to what a browser makes of it.

The browser is started by the first page that needs it and stopped when none has for a while. It is replaced after some
pages, and after a crash, which costs the pages that it was showing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractCookieJar
from yarl import URL

from reader_cli.engine.browser.chromium import Chromium
from reader_cli.engine.browser.gate import Gate, Pass
from reader_cli.engine.browser.shown import WEB, Shown, show
from reader_cli.engine.crawl import normalise
from reader_cli.engine.faults import PageFault
from reader_cli.engine.fetch import MOST_BYTES, Fetched
from reader_cli.engine.network import Network, blocked
from reader_cli.engine.options import ReadOptions
from reader_cli.models import ErrorCode

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext

logger = logging.getLogger(__name__)

AT_ONCE = max(2, os.cpu_count() or 1)  # pages; a renderer takes a core and 100 MB
PAGES_EACH = 200  # then a browser is replaced: it keeps memory that it once took
IDLE_SECONDS = 60.0
CLOSE_SECONDS = 5.0
NET_ERROR = re.compile(r"net::(ERR_\w+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Rendered:
    """`page` is what was fetched, with the body that JavaScript made of it; `screenshot` is a PNG in base64."""

    page: Fetched
    screenshot: str | None = None


class Renderer:
    """One an engine. It needs the extra: see chromium.has_browser."""

    def __init__(self, network: Network) -> None:
        self._gate = Gate(network)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._launch: asyncio.Task[Chromium] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._chores: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        self._keep_awake()
        if self._launch is not None:
            self._retire(self._launch)
        await asyncio.gather(*self._chores, return_exceptions=True)
        self._gate.close()

    async def render(
        self, page: Fetched, options: ReadOptions, seconds: float, cookies: AbstractCookieJar | None
    ) -> Rendered:
        """Raises PageFault. `seconds` begin when a browser is there.

        The browser asks for the page once more by itself, and reaches only what is like the place that it was fetched
        from: public addresses, or private ones.
        """
        picture = "screenshot" in options.formats
        async with self._places, self._chromium() as chromium:
            with self._gate.admit(private=page.private) as admitted:
                try:
                    async with self._context(chromium, admitted, page, cookies) as context, asyncio.timeout(seconds):
                        wait_for = options.wait_for_selector
                        shown = await show(context, page.url, wait_for=wait_for, picture=picture, seconds=seconds)
                except Exception as error:
                    raise _cause(error, page, options, admitted, seconds) from error
                return _rendered(page, shown, admitted)

    @contextlib.asynccontextmanager
    async def _chromium(self) -> AsyncIterator[Chromium]:
        launch = await self._running()
        chromium = launch.result()
        chromium.pages_left -= 1
        chromium.pages_open += 1
        try:
            yield chromium
        finally:
            chromium.pages_open -= 1
            if not chromium.pages_open and launch is self._launch and chromium.usable:
                self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, launch)
            elif not chromium.pages_open:
                self._retire(launch)

    async def _running(self) -> asyncio.Task[Chromium]:
        """A browser that is there. A caller that is cancelled leaves the start to the others."""
        self._keep_awake()
        gate = await self._gate.open()
        if self._launch is None or (self._launch.done() and not _is_usable(self._launch)):
            self._launch = asyncio.create_task(Chromium.launch(gate, PAGES_EACH))
        launch = self._launch
        try:
            await asyncio.shield(launch)
        except Exception as error:
            logger.exception("Chromium did not start")
            message = f"Chromium did not start: {_first_line(error)}; the engine's log says more"
            raise PageFault(ErrorCode.INTERNAL_ERROR, message) from error
        self._keep_awake()
        return launch

    @contextlib.asynccontextmanager
    async def _context(
        self, chromium: Chromium, admitted: Pass, page: Fetched, cookies: AbstractCookieJar | None
    ) -> AsyncIterator[BrowserContext]:
        from playwright.async_api import Error as PlaywrightError

        context = await chromium.context(await self._gate.open(), admitted.password)
        try:
            for cookie in (cookies.filter_cookies(URL(page.url)) if cookies is not None else {}).values():
                with contextlib.suppress(PlaywrightError):  # Chromium is stricter about what a cookie is
                    await context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": page.url}])
            yield context
        finally:
            await asyncio.shield(self._do(_discard(chromium, context)))

    def _keep_awake(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _retire(self, launch: asyncio.Task[Chromium]) -> None:
        if launch is self._launch:
            self._launch = None
        self._do(_end(launch))

    def _do(self, chore: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task


def _is_usable(launch: asyncio.Task[Chromium]) -> bool:
    return not launch.cancelled() and launch.exception() is None and launch.result().usable


async def _end(launch: asyncio.Task[Chromium]) -> None:
    with contextlib.suppress(Exception):
        chromium = await launch
        await chromium.close(CLOSE_SECONDS)


async def _discard(chromium: Chromium, context: BrowserContext) -> None:
    """A browser that can't even close a page is replaced."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await context.close()
    except Exception:
        chromium.pages_left = 0


def _rendered(page: Fetched, shown: Shown, admitted: Pass) -> Rendered:
    if not shown.url.startswith(WEB):  # a script sent it to where nothing answers, or to a URL of its own making
        raise _nowhere(page, admitted)
    if shown.status is not None and shown.status >= 400:
        raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"HTTP {shown.status}", status=shown.status)
    if shown.html is None:
        raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"the page is larger than {MOST_BYTES >> 20} MB")
    png = base64.b64encode(shown.png).decode() if shown.png else None
    if page.kind == "text":  # what the browser makes of it is for looking at
        return Rendered(page, png)
    there = dataclasses.replace(
        page,
        url=shown.url,
        kind="html",
        charset="utf-8",
        body=shown.html.encode("utf-8", "replace"),
        redirected=page.redirected or normalise(shown.url) != normalise(page.url),
    )
    return Rendered(there, png)


def _cause(error: Exception, page: Fetched, options: ReadOptions, admitted: Pass, seconds: float) -> PageFault:
    """What went wrong in the browser, in one sentence."""
    text = str(error)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        what = (
            f"no element matches {options.wait_for_selector}" if options.wait_for_selector else "the page did not end"
        )
        return PageFault(ErrorCode.SCRAPE_TIMEOUT, f"{what} within {seconds:.3g} s")
    if found := NET_ERROR.search(text):
        return _nowhere(page, admitted, found[1])
    if "crashed" in text or "closed" in text:
        return PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, "the page crashed the browser")
    if "parsing css selector" in text or "not a valid selector" in text:
        return PageFault(ErrorCode.INVALID_REQUEST, f"not a CSS selector: {options.wait_for_selector}")
    logger.error("showing %s failed", page.url, exc_info=error)
    return PageFault(ErrorCode.INTERNAL_ERROR, f"the page could not be shown: {_first_line(error)}")


def _nowhere(page: Fetched, admitted: Pass, reason: str = "it went where nothing answers") -> PageFault:
    if admitted.refused:
        return blocked(admitted.refused)
    if admitted.bytes_left <= 0:
        reason = "it is too large with all that it loads"
    return PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"the browser could not show the page: {reason}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
