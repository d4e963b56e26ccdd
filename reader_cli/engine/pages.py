"""From a URL to a PAGE: fetch, extract, and the wire's shape for what came out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp

from reader_cli.engine.faults import PageFault
from reader_cli.engine.options import ReadOptions
from reader_cli.models import ErrorCode, Page


@dataclass
class Outcome:
    """What reading one URL came to.

    `problem` is an ErrorCode when the page failed (then `page["error"]` says why), else None. `links` are the page's
    absolute http(s) links, in order, and `identity` is the URL that the page goes by (its canonical link, or where
    redirects ended): a crawl's food.
    """

    page: Page
    links: list[str] = field(default_factory=list)
    problem: ErrorCode | None = None
    identity: str | None = None


class PageCache(Protocol):
    """Remembers good pages. Keys and values are opaque; how long they live is the cache's own affair."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...


class Robots(Protocol):
    """What a site's robots.txt allows."""

    def allows(self, url: str) -> bool: ...


class PageReader:
    """Reads pages, any number at a time. One an engine, made and used on one event loop.

    `workers` is the number of extraction processes; `allow_private` lets trusted URLs lead to loopback and private
    addresses (contract: what the engine adds).
    """

    def __init__(self, *, workers: int, allow_private: bool, cache: PageCache | None = None) -> None:
        self._cache = cache
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def read(
        self, url: str, options: ReadOptions, *, trusted: bool, cookies: aiohttp.abc.AbstractCookieJar | None = None
    ) -> Outcome:
        """Never raises for a page's failure; safe to cancel. `trusted`: the key's holder gave this URL.

        `cookies` is the jar of the job that this page belongs to; without one, cookies live for this page alone.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(options.timeout_ms / 1000):
                return await self._fetch(url, options, started)
        except TimeoutError:
            fault = PageFault(ErrorCode.SCRAPE_TIMEOUT, f"no answer within {options.timeout_ms / 1000:g} s")
        except aiohttp.ClientError as error:
            fault = PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, str(error))
        except PageFault as error:
            fault = error
        return failed(url, fault, options, started)

    async def robots(self, url: str, *, trusted: bool) -> Robots:
        """The rules of this URL's site; a site without (readable) rules allows everything."""
        return _Everything()

    async def _fetch(self, url: str, options: ReadOptions, started: float) -> Outcome:
        import trafilatura
        from html_to_markdown import convert

        assert self._session is not None
        async with self._session.get(url) as response:
            html = await response.text()
            if response.status >= 400:
                raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"HTTP {response.status}", status=response.status)
        main = trafilatura.extract(html, output_format="html", fast=True) or html
        page = Page(url=url, markdown=str(convert(main).content or ""), statusCode=response.status)
        page |= {"proxyMode": options.proxy_mode, "credits": 1}
        page["metadata"] = _metadata(options, started, response.status)
        return Outcome(page)


class _Everything:
    def allows(self, url: str) -> bool:
        return True


def failed(url: str, fault: PageFault, options: ReadOptions, started: float) -> Outcome:
    page = Page(url=url, proxyMode=options.proxy_mode, credits=0, error=fault.message)
    if fault.status is not None:
        page["statusCode"] = fault.status
    page["metadata"] = _metadata(options, started, fault.status)
    return Outcome(page, problem=fault.code)


def _metadata(options: ReadOptions, started: float, status: int | None) -> dict[str, Any]:
    known = {} if status is None else {"statusCode": status}
    return known | {
        "duration": round((time.monotonic() - started) * 1000),
        "cached": False,
        "proxyMode": options.proxy_mode,
        "scrapedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
