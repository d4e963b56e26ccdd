"""A small web site on loopback whose pages do as they are told.

with Site() as site:
    site.broken.add("/3")          # answers 500 until it is taken out again
    site.slow["/4"] = 30.0         # seconds until it answers
    urls = site.urls(10)           # /0 to /9
"""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

PARAGRAPH = "The harbour keeps its own clock: boats leave with the tide and come home when the light goes. "


class Site:
    """`hits` counts the requests of each path; `bodies` gives a path a page of its own (`bytes`, or (type, bytes));
    `links` the links of a page; `moved` a redirect's target. `gate`, once cleared, holds every answer back until set;
    `gates` those of single paths.
    """

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.slow: dict[str, float] = {}
        self.moved: dict[str, str] = {}
        self.links: dict[str, list[str]] = {}
        self.bodies: dict[str, bytes | tuple[str, bytes]] = {}
        self.hits: Counter[str] = Counter()
        self.delay = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.gates: dict[str, threading.Event] = {}
        self._closing = threading.Event()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def urls(self, count: int) -> list[str]:
        return [f"{self.url}/{number}" for number in range(count)]

    def __enter__(self) -> Site:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._closing.set()
        for gate in (self.gate, *self.gates.values()):
            gate.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.hits[path] += 1
        self.gate.wait()
        self.gates.get(path, self.gate).wait()
        self._closing.wait(self.slow.get(path, self.delay))
        if path == "/robots.txt" and path not in self.bodies:
            return 404, {}, b"none"
        if path in self.broken:
            return 500, {"content-type": "text/html"}, b"<html><body>broken</body></html>"
        if path in self.moved:
            return 302, {"location": self.moved[path]}, b""
        kind, body = self._page(path)
        return 200, {"content-type": kind}, body

    def _page(self, path: str) -> tuple[str, bytes]:
        body = self.bodies.get(path)
        if isinstance(body, tuple):
            return body
        return "text/html; charset=utf-8", body if body is not None else self._html(path)

    def _html(self, path: str) -> bytes:
        links = "".join(f'<p>See <a href="{link}">the page {link}</a> too.</p>' for link in self.links.get(path, []))
        text = f"<h1>Page {path}</h1><p>This is the page {path}. {PARAGRAPH * 3}</p>"
        page = f"<html><head><title>Page {path}</title></head><body><main>{text}{links}</main></body></html>"
        return page.encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: Any) -> None:
        """A reader that leaves early is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        status, headers, body = self.server.site.answer(self.path)
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests have enough to print."""
