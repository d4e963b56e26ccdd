"""Gets the bytes behind a URL: redirects, limits, one retry. What can be read is decided by their type alone."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractCookieJar
from yarl import URL

from reader_cli import __version__
from reader_cli.engine.causes import Transient, cause_of, refusal_of
from reader_cli.engine.faults import PageFault
from reader_cli.engine.manners import Manners
from reader_cli.engine.network import Network, Route
from reader_cli.models import ErrorCode

USER_AGENT = f"reader-cli/{__version__}"
HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "text/html,application/xhtml+xml,text/markdown;q=0.9,text/plain;q=0.8,*/*;q=0.5",
}
MOST_BYTES = 20 << 20  # of a page, decompressed
MOST_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
KINDS = {"text/html": "html", "application/xhtml+xml": "xhtml"}
TEXT_TYPES = ("json", "xml", "ndjson", "x-ndjson", "yaml", "x-yaml")  # of application/


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where redirects ended; `kind` ("html", "xhtml" or "text") and `charset` are as the answer says.

    `private`: it came from a private address, as trusted URLs may. `ends` is when its time is up (monotonic seconds).
    """

    url: str
    status: int
    kind: str
    charset: str | None
    body: bytes
    redirected: bool
    private: bool
    ends: float


@dataclass
class _Visit:
    """One URL on its way. `may_be_private` is lost at the first public hop and never comes back."""

    start: URL
    trusted: bool
    cookies: AbstractCookieJar
    timer: asyncio.Timeout
    answered: bool = False

    def begin(self) -> None:
        self.url, self.may_be_private, self.redirects = self.start, self.trusted, 0


class Fetcher:
    def __init__(self, network: Network, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = network
        self._manners = Manners()

    def space(self, host: str, seconds: float) -> None:
        self._manners.space(host, seconds)

    def turn(self, page: Fetched) -> AbstractAsyncContextManager[None]:
        """To ask the host of this page for it once more, as a browser does."""
        return nullcontext() if page.private else self._manners.turn(URL(page.url).host or "")

    async def get(
        self, url: str, *, seconds: float, trusted: bool, cookies: AbstractCookieJar | None = None
    ) -> Fetched:
        """Raises PageFault. `seconds` bound all of it, except for waiting one's turn at a public host."""
        jar = cookies if cookies is not None else aiohttp.CookieJar(unsafe=True)
        timer = asyncio.timeout(seconds)
        visit = _Visit(_parse(url), trusted and self._allow_private, jar, timer)
        try:
            async with timer:
                return await self._twice(visit)
        except TimeoutError:
            what = "the page did not end" if visit.answered else "no answer"
            raise PageFault(ErrorCode.SCRAPE_TIMEOUT, f"{what} within {seconds:g} s") from None

    async def _twice(self, visit: _Visit) -> Fetched:
        try:
            return await self._follow(visit)
        except Transient as fault:
            if fault.after >= (visit.timer.when() or 0) - asyncio.get_running_loop().time():
                raise
            await asyncio.sleep(fault.after)
        return await self._follow(visit)

    async def _follow(self, visit: _Visit) -> Fetched:
        visit.begin()
        while visit.redirects <= MOST_REDIRECTS:
            route = await self._network.route(visit.url, may_be_private=visit.may_be_private)
            visit.may_be_private = route.private
            found = await (self._get(visit, route) if route.private else self._in_turn(visit, route))
            if isinstance(found, Fetched):
                return found
            visit.url = found
            visit.redirects += 1
        raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"more than {MOST_REDIRECTS} redirects")

    async def _in_turn(self, visit: _Visit, route: Route) -> Fetched | URL:
        host, loop = visit.url.host or "", asyncio.get_running_loop()
        asked = loop.time()
        async with self._manners.turn(host):
            visit.timer.reschedule((visit.timer.when() or asked) + loop.time() - asked)
            try:
                return await self._get(visit, route)
            except Transient as fault:
                if fault.asked_for_by_host:
                    self._manners.pause(host, fault.after)
                raise

    async def _get(self, visit: _Visit, route: Route) -> Fetched | URL:
        """The page, or where it says that it is."""
        try:
            async with route.session.get(
                visit.url,
                headers=HEADERS,
                cookies=visit.cookies.filter_cookies(visit.url),
                allow_redirects=False,
                proxy=route.proxy,
            ) as response:
                visit.answered = True
                visit.cookies.update_cookies(response.cookies, visit.url)
                if response.status in REDIRECTS and "Location" in response.headers:
                    return _parse(response.headers["Location"], visit.url)
                return await _read(response, visit, private=route.private)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise cause_of(error, visit.url) from error


async def _read(response: aiohttp.ClientResponse, visit: _Visit, *, private: bool) -> Fetched:
    if response.status >= 400:
        raise refusal_of(response)
    kind = _kind(response)
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MOST_BYTES:
            raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"the page is larger than {MOST_BYTES >> 20} MB")
    if not response.headers.get("Content-Type"):
        kind = _sniffed(bytes(body[:1024]))
    return Fetched(
        url=str(response.real_url),
        status=response.status,
        kind=kind,
        charset=response.charset,
        body=bytes(body),
        redirected=visit.redirects > 0,
        private=private,
        ends=visit.timer.when() or 0.0,
    )


def _kind(response: aiohttp.ClientResponse) -> str:
    mime = response.content_type
    major, _, minor = mime.partition("/")
    if mime in KINDS:
        return KINDS[mime]
    readable = major == "text" or (major == "application" and minor.rpartition("+")[2] in TEXT_TYPES)
    if not readable and response.headers.get("Content-Type"):
        raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"content type {mime} cannot be read", status=response.status)
    return "text"


def _sniffed(start: bytes) -> str:
    if b"\0" in start:
        raise PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, "the answer is binary and names no content type")
    return "html" if start.lstrip()[:1] == b"<" else "text"


def _parse(url: str, base: URL | None = None) -> URL:
    """Raises PageFault for what is no http(s) URL."""
    try:
        parsed = URL(url) if base is None else base.join(URL(url))
        if parsed.scheme in ("http", "https") and parsed.host:
            return parsed
    except ValueError:
        pass
    where = "not an http or https URL" if base is None else "a redirect to something else than http or https"
    raise PageFault(ErrorCode.INVALID_REQUEST, f"{where}: {url:.200}")
