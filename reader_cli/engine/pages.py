"""From a URL to a PAGE: fetch, extract, and the wire's shape for what came out."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from aiohttp.abc import AbstractCookieJar

from reader_cli.engine.browser.chromium import has_browser, require_browser
from reader_cli.engine.browser.rendering import Rendered, Renderer
from reader_cli.engine.crawl import identity
from reader_cli.engine.faults import PageFault
from reader_cli.engine.fetch import Fetched, Fetcher
from reader_cli.engine.network import Network
from reader_cli.engine.options import ReadOptions
from reader_cli.engine.robots import Robots, robots_of
from reader_cli.engine.tasks import Extracted, Task
from reader_cli.engine.workers import WorkerPool
from reader_cli.models import CREDITS_A_PAGE, ErrorCode, Page

logger = logging.getLogger(__name__)

LEAST_SECONDS = 1.0  # for rendering and for extraction, however long fetching took


@dataclass
class Outcome:
    """What reading one URL came to.

    `problem` is an ErrorCode when the page failed (then `page["error"]` says why), else None. `links` are the page's
    absolute http(s) links, in order, and `identity` is the URL that the page goes by (its canonical link, or where
    redirects ended): a crawl's food. Its links are as trusted as it was private itself (contract: url_blocked).
    """

    page: Page
    links: list[str] = field(default_factory=list)
    problem: ErrorCode | None = None
    identity: str | None = None
    private: bool = False


class PageCache(Protocol):
    """Remembers good pages. Keys and values are opaque; how long they live is the cache's own affair."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...


class PageReader:
    """Reads pages, any number at a time. One an engine, made and used on one event loop.

    `workers` is the number of extraction processes; `allow_private` lets trusted URLs lead to loopback and private
    addresses (contract: what the engine adds).
    """

    def __init__(self, *, workers: int, allow_private: bool, cache: PageCache | None = None) -> None:
        self._cache = cache
        self._allow_private = allow_private
        self._workers = WorkerPool(workers)

    async def start(self) -> None:
        self._network = Network()
        self._fetcher = Fetcher(self._network, allow_private=self._allow_private)
        self._renderer = Renderer(self._network)
        await self._workers.start()

    async def close(self) -> None:
        await self._renderer.close()
        await self._workers.close()
        await self._network.close()

    async def read(
        self, url: str, options: ReadOptions, *, trusted: bool, cookies: AbstractCookieJar | None = None
    ) -> Outcome:
        """Never raises for a page's failure; safe to cancel. `trusted`: the key's holder gave this URL.

        `cookies` is the jar of the job that this page belongs to; without one, cookies live for this page alone.
        """
        started = time.monotonic()
        key = _cache_key(url, options, trusted)
        if options.cache and self._cache and (found := await self._cache.get(key)):
            return _from_cache(found, started)
        try:
            outcome = await self._read(url, options, trusted, cookies, started)
        except PageFault as fault:
            return _failed(url, fault, options, started)
        except Exception:  # a bug that one strange page brings to light must not end its whole job
            logger.exception("reading %s broke", url)
            broken = PageFault(ErrorCode.INTERNAL_ERROR, "the engine failed at this page; its log says why")
            return _failed(url, broken, options, started)
        if options.cache and self._cache:
            await self._cache.put(key, msgspec.msgpack.encode(outcome))
        return outcome

    async def robots(self, url: str, *, trusted: bool) -> Robots:
        """The rules of this URL's site, whose wish for slowness is met from now on."""
        return await robots_of(self._fetcher, url, trusted=trusted)

    async def _read(
        self, url: str, options: ReadOptions, trusted: bool, cookies: AbstractCookieJar | None, started: float
    ) -> Outcome:
        """A browser is used where the options need one, and once more for what turns out to be an empty shell."""
        wanted = options.wait_for_selector is not None or "screenshot" in options.formats
        if wanted:
            require_browser()
        fetched = await self._fetcher.get(url, seconds=options.timeout_ms / 1000, trusted=trusted, cookies=cookies)
        rendered = await self._render(fetched, options, cookies) if wanted else Rendered(fetched)
        extracted = await self._workers.run(_task(rendered.page, options), _left(fetched))
        if extracted.hollow and not wanted and has_browser():
            try:
                rendered = await self._render(fetched, options, cookies)
                extracted = await self._workers.run(_task(rendered.page, options), _left(fetched))
            except PageFault as fault:  # what was fetched is still a page
                logger.warning("%s seems to need JavaScript, but: %s", url, fault.message)
        return _done(url, rendered, extracted, options, started)

    async def _render(self, fetched: Fetched, options: ReadOptions, cookies: AbstractCookieJar | None) -> Rendered:
        seconds = _left(fetched)
        async with self._fetcher.turn(fetched):
            return await self._renderer.render(fetched, options, seconds, cookies)


def _left(fetched: Fetched) -> float:
    return max(LEAST_SECONDS, fetched.ends - time.monotonic())


def _task(fetched: Fetched, options: ReadOptions) -> Task:
    return Task(
        body=fetched.body,
        kind=fetched.kind,
        charset=fetched.charset,
        url=fetched.url,
        formats=options.formats,
        main=options.only_main_content,
        include=options.include_tags,
        exclude=options.exclude_tags,
    )


def _done(url: str, rendered: Rendered, found: Extracted, options: ReadOptions, started: float) -> Outcome:
    page, fetched = Page(url=url), rendered.page
    if fetched.redirected:
        page["finalUrl"] = fetched.url
    if rendered.screenshot is not None:
        page["screenshot"] = rendered.screenshot
    if found.markdown is not None:
        page["markdown"] = found.markdown
    if found.html is not None:
        page["html"] = found.html
    about = {"title": found.title, "description": found.description, "language": found.language}
    page |= _ending(options, fetched.status, CREDITS_A_PAGE[options.proxy_mode])
    page["metadata"] = {name: text for name, text in about.items() if text} | _metadata(
        options, started, fetched.status
    )
    return Outcome(page, found.links, identity=identity(fetched.url, found.canonical), private=fetched.private)


def _failed(url: str, fault: PageFault, options: ReadOptions, started: float) -> Outcome:
    page = Page(url=url, error=fault.message)
    page |= _ending(options, fault.status, 0)
    page["metadata"] = _metadata(options, started, fault.status)
    return Outcome(page, problem=fault.code)


def _from_cache(value: bytes, started: float) -> Outcome:
    outcome = msgspec.msgpack.decode(value, type=Outcome)
    outcome.page["credits"] = 0
    outcome.page["metadata"] |= {"cached": True, "duration": _milliseconds(started)}
    return outcome


def _ending(options: ReadOptions, status: int | None, credits: int) -> Page:
    known = Page() if status is None else Page(statusCode=status)
    return known | Page(proxyMode=options.proxy_mode, credits=credits)


def _metadata(options: ReadOptions, started: float, status: int | None) -> dict[str, Any]:
    known = {} if status is None else {"statusCode": status}
    return known | {
        "duration": _milliseconds(started),
        "cached": False,
        "proxyMode": options.proxy_mode,
        "scrapedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _milliseconds(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _cache_key(url: str, options: ReadOptions, trusted: bool) -> str:
    """Everything that the result depends on; `trusted`, so that nobody reads through the cache what is private."""
    what = (
        url,
        sorted(options.formats),
        options.only_main_content,
        options.include_tags,
        options.exclude_tags,
        options.wait_for_selector,
        trusted,
    )
    return hashlib.sha256(msgspec.msgpack.encode(what)).hexdigest()
