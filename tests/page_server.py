"""A web server on loopback that writes exactly the bytes that a test gives it, and a page reader to read it with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from reader_cli.engine.options import ReadOptions
from reader_cli.engine.pages import Outcome, PageCache, PageReader
from reader_cli.engine.robots import Robots

Answer = bytes | Callable[["Visitor"], Awaitable[None]]
T = TypeVar("T")
TLS = b"\x16"  # what a client that wants TLS begins with


def answer(
    body: bytes | str = b"", status: int = 200, kind: str | None = "text/html; charset=utf-8", **more: str
) -> bytes:
    """An HTTP answer. Further headers are keywords: `Retry_After="1"`; Content-Length is the body's unless given."""
    body = body.encode() if isinstance(body, str) else body
    headers = {"Connection": "close", "Content-Length": str(len(body))}
    headers |= {"Content-Type": kind} if kind else {}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Visitor:
    """One request: `target` is what stood in its first line, `headers` have lower-case names; `write` sends bytes."""

    def __init__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        self.target = first.split(" ")[1]
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self._writer = writer

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class Web:
    """`answers` by path (or whole target, for a proxy); `visits` are all requests, in order. Unknown paths are 404."""

    def __init__(self, loop: Loop) -> None:
        self.answers: dict[str, Answer] = {}
        self.visits: list[Visitor] = []
        self._loop = loop
        self._server = loop.run(asyncio.start_server(self._serve, "127.0.0.1", 0))

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, path: str, body: bytes | str, **more: Any) -> str:
        """Puts a page there and returns its URL."""
        self.answers[path] = answer(body, **more)
        return self.url + path

    def hits(self, path: str) -> int:
        return sum(visit.target == path for visit in self.visits)

    def close(self) -> None:
        self._loop.call(self._server.close)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if first == TLS:
                return writer.write(answer("no TLS here", status=400))
            visitor = Visitor(first + await reader.readuntil(b"\r\n\r\n"), writer)
            self.visits.append(visitor)
            found = self.answers.get(visitor.target, answer("nothing here", status=404))
            await (visitor.write(found) if isinstance(found, bytes) else found(visitor))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call(self, function: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Reader:
    """A PageReader for tests that are not asynchronous."""

    def __init__(self, loop: Loop, *, allow_private: bool = True, cache: PageCache | None = None) -> None:
        self.pages = PageReader(workers=1, allow_private=allow_private, cache=cache)
        self._loop = loop
        loop.run(self.pages.start())

    def read(self, url: str, *, trusted: bool = True, cookies: Any = None, **options: Any) -> Outcome:
        return self._loop.run(self.pages.read(url, ReadOptions(**options), trusted=trusted, cookies=cookies))

    def robots(self, url: str) -> Robots:
        return self._loop.run(self.pages.robots(url, trusted=True))

    def error(self, url: str, **options: Any) -> str:
        """The page's error, "" for a page that was read."""
        return self.read(url, **options).page.get("error", "")

    def close(self) -> None:
        self._loop.run(self.pages.close())
