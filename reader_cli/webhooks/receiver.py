"""A small HTTP server that takes deliveries. The standard library's: it is there without the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from reader_cli.errors import UsageError
from reader_cli.webhooks.delivery import Delivery

BODY_BYTES = 32 << 20
CONNECTIONS = 64  # at a time; more are turned away, for a tunnel lets everybody in
QUIET_SECONDS = 60.0  # of a connection; longer than senders keep one for the next delivery

Take = Callable[[Delivery], int]


class Receiver:
    """Listens on creation, and answers while it is open. `take` gets every POST, in threads of its own, and returns
    the HTTP status of the answer. Raises UsageError for an address that can't be had."""

    def __init__(self, host: str, port: int, take: Take) -> None:
        try:
            self._server = _Server((host, port), take)
        except OSError as error:
            raise UsageError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], take: Take) -> None:
        self.take = take
        self._places = threading.Semaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that went away, or stopped in the middle, comes again."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "reader"
    sys_version = ""
    timeout = QUIET_SECONDS
    server: _Server

    def do_POST(self) -> None:
        body = self._read()
        if body is None:
            self._answer(413, close=True)
            return
        self._answer(self.server.take(Delivery(tuple(self.headers.items()), body, time.time())))

    def _read(self) -> bytes | None:
        """None for a body that is too large, or of a length that can't be told."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():  # as some tunnels pass it on
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > BODY_BYTES:
            return None
        return self._exactly(int(length))

    def _read_chunks(self) -> bytes | None:
        body = bytearray()
        while size := int(self.rfile.readline(100).partition(b";")[0], 16):
            if not 0 < size <= BODY_BYTES - len(body):
                return None
            body += self._exactly(size)
            self.rfile.readline(3)
        while self.rfile.readline(8192).strip():
            pass  # trailers
        return bytes(body)

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the body was cut short")
        return body

    def _answer(self, status: int, *, close: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if close:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """What came is told as JSON, not in a log."""
