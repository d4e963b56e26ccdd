"""The way to a host: which session, through which proxy, and whether it may be gone at all."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp.helpers import get_env_proxy_for_url
from yarl import URL

from reader_cli.engine.addresses import AddrInfo, is_address, is_private, is_public, sockets_to
from reader_cli.engine.faults import PageFault
from reader_cli.models import ErrorCode

NAME_SECONDS = 10.0  # that a name's addresses are remembered, as long as aiohttp does
MOST_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Route:
    session: aiohttp.ClientSession
    proxy: URL | None
    private: bool


class Network:
    """Three sessions, because connections are pooled: one that only ever connects to public addresses, one that only
    ever connects to private ones, and one for the environment's proxies, which may be anywhere.
    """

    def __init__(self) -> None:
        self._public = _session(sockets_to(is_public))
        self._private = _session(sockets_to(is_private))
        self._proxied = _session(None)
        self._resolved: dict[str, tuple[float, list[str]]] = {}  # until when, and to what
        self._has_proxies = bool(urllib.request.getproxies())  # asking for each page costs half a millisecond

    async def close(self) -> None:
        for session in (self._public, self._private, self._proxied):
            await session.close()

    async def route(self, url: URL, *, may_be_private: bool) -> Route:
        """Raises PageFault where a proxy would be asked for a private host; direct routes check as they connect."""
        proxy = _proxy_of(url) if self._has_proxies else None
        if not may_be_private and proxy is None:
            return Route(self._public, None, private=False)
        addresses = await self._addresses(url.host or "")
        if may_be_private and any(map(is_private, addresses)):
            return Route(self._private, None, private=True)
        if proxy is None:
            return Route(self._public, None, private=False)
        if not all(map(is_public, addresses)):
            raise blocked(url)
        return Route(self._proxied, proxy, private=False)

    async def check(self, url: URL, *, may_be_private: bool) -> None:
        """Raises PageFault for a host with an address that may not be connected to. One without any may get one."""
        for address in await self._addresses(url.host or ""):
            if not is_public(address) and not (may_be_private and is_private(address)):
                raise blocked(url)

    async def _addresses(self, host: str) -> list[str]:
        """The host's addresses as far as this machine can tell; a proxy may know names that it doesn't."""
        if is_address(host):
            return [host]
        now = asyncio.get_running_loop().time()
        if host not in self._resolved or self._resolved[host][0] < now:
            if len(self._resolved) > MOST_NAMES:
                self._resolved.clear()
            self._resolved[host] = now + NAME_SECONDS, await _resolve(host)
        return self._resolved[host][1]


def blocked(url: URL) -> PageFault:
    return PageFault(ErrorCode.URL_BLOCKED, f"{url.host} is not a public address")


def _session(factory: Callable[[AddrInfo], socket.socket] | None) -> aiohttp.ClientSession:
    """No cookies of its own, no limit but the engine's own on how much it does at a time."""
    connector = aiohttp.TCPConnector(limit=0, socket_factory=factory)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=None)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())


def _proxy_of(url: URL) -> URL | None:
    try:
        return get_env_proxy_for_url(url)[0]
    except LookupError:
        return None


async def _resolve(host: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]) for *_, address in found]
