"""The browser's only way to the network: a proxy on loopback that connects where a page may go, and nowhere else.

Each page's browser context has a credential of its own (RFC 7617), which tells the gate whose request it is: documents,
scripts, redirects and WebSockets alike. Names are looked up here, and the rule is applied to the address that is really
connected to. A request without a known credential, such as Chromium's own, gets nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import aiohappyeyeballs
from yarl import URL

from reader_cli.engine.addresses import AddrInfo, Blocked, is_private, is_public, sockets_to
from reader_cli.engine.faults import PageFault
from reader_cli.engine.network import Network, blocked

USER = "page"
MOST_BYTES = 64 << 20  # of a page with all that it loads
HEAD_BYTES = 1 << 16
HEAD_SECONDS = 30.0  # Chromium opens connections ahead of need
CHUNK = 1 << 16
WHO_ARE_YOU = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=engine\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
CONNECTED = b"HTTP/1.1 200 Connected\r\n\r\n"
HOP_BY_HOP = ("connection", "keep-alive", "proxy-authorization", "proxy-connection")


@dataclass
class Pass:
    """One page's right to connect: to private addresses alone, or to public ones alone.

    Not to both: a private page that turned into a public one could then be made to look around at home.
    """

    private: bool
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    bytes_left: int = MOST_BYTES
    refused: URL | None = None  # the last thing that it may not have


class Gate:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._passes: dict[str, Pass] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> str:
        """Its URL. Harmless when it is open already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_BYTES)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    @contextlib.contextmanager
    def admit(self, *, private: bool) -> Iterator[Pass]:
        """A pass that is good until the end of the block."""
        admitted = Pass(private)
        credential = base64.b64encode(f"{USER}:{admitted.password}".encode()).decode()
        self._passes[credential] = admitted
        try:
            yield admitted
        finally:
            del self._passes[credential]
            admitted.bytes_left = 0

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = _Request(await reader.readuntil(b"\r\n\r\n"))
            if admitted := self._passes.get(request.credential):
                await self._forward(request, admitted, reader, writer)
            else:
                writer.write(WHO_ARE_YOU)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            pass  # the browser is told by the end of its connection
        finally:
            writer.close()

    async def _forward(self, request: _Request, admitted: Pass, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            there, sink, proxy = await self._connect(request.url, admitted)
        except PageFault:
            admitted.refused = request.url
            return
        try:
            if request.is_tunnel and not proxy:
                writer.write(CONNECTED)
            else:
                sink.write(request.for_proxy(proxy) if proxy else request.for_origin())
            ways = [asyncio.create_task(_pump(*way, admitted)) for way in ((reader, sink), (there, writer))]
            await _until_one_ends(ways)
        finally:
            sink.close()

    async def _connect(self, url: URL, admitted: Pass) -> tuple[StreamReader, StreamWriter, URL | None]:
        """To the host, or to the proxy that the environment names for it. Raises PageFault where it may not be."""
        route = await self._network.route(url, may_be_private=admitted.private)
        if route.private is not admitted.private:
            raise blocked(url)
        if route.proxy:
            opened = asyncio.open_connection(
                route.proxy.host, route.proxy.port, ssl=True if route.proxy.scheme == "https" else None
            )
            return *await opened, route.proxy
        return *await _connect(url, sockets_to(is_private if admitted.private else is_public)), None


class _Request:
    """The head of what the browser asks of a proxy: a tunnel for TLS and WebSockets, else one plain request.

    Raises ValueError for what is no such thing.
    """

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        self._method, self._target, _ = first.split(" ")
        self._headers = [line for line in lines if line.partition(":")[0].lower() not in HOP_BY_HOP]
        credentials = (line for line in lines if line.lower().startswith("proxy-authorization: basic "))
        self.credential = next(credentials, "").rpartition(" ")[2]
        self.is_tunnel = self._method == "CONNECT"
        self.url = URL(f"https://{self._target}" if self.is_tunnel else self._target)
        if self.url.scheme not in ("http", "https") or not self.url.host:
            raise ValueError(self._target)

    def for_origin(self) -> bytes:
        path = self._target.split("/", 3)[3:] or [""]
        return self._head(f"/{path[0]}", ["Connection: close"])

    def for_proxy(self, proxy: URL) -> bytes:
        credential = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
        known = [f"Proxy-Authorization: Basic {credential}"] if proxy.user else []
        return self._head(self._target, known if self.is_tunnel else [*known, "Connection: close"])

    def _head(self, target: str, more: list[str]) -> bytes:
        lines = [f"{self._method} {target} HTTP/1.1", *self._headers, *more, "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def _connect(url: URL, make: Callable[[AddrInfo], socket.socket]) -> tuple[StreamReader, StreamWriter]:
    found = await asyncio.get_running_loop().getaddrinfo(url.raw_host, url.port, type=socket.SOCK_STREAM)
    try:
        connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=0.25, socket_factory=make)
    except Blocked as error:
        raise blocked(url) from error
    return await asyncio.open_connection(sock=connected)


async def _pump(source: StreamReader, sink: StreamWriter, admitted: Pass) -> None:
    while admitted.bytes_left > 0 and (data := await source.read(CHUNK)):
        admitted.bytes_left -= len(data)
        sink.write(data)
        await sink.drain()


async def _until_one_ends(ways: list[asyncio.Task[None]]) -> None:
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
