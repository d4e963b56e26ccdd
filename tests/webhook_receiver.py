"""An app on loopback that receives webhooks, and checks their signature by itself as any app would.

with Receiver(secret="…") as receiver:
    receiver.answers[:] = [500, 500]     # then 204 again
    delivery = receiver.next()
"""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """`at` is monotonic seconds; `answer` is the HTTP status that it got."""

    headers: Mapping[str, str]
    body: bytes
    at: float
    answer: int
    path: str

    @property
    def payload(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def event(self) -> str:
        return self.headers["x-reader-event"]

    @property
    def id(self) -> str:
        return self.headers["x-reader-delivery"]


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Written out from the contract, and not by the code under test."""
    timestamp = headers.get("x-reader-timestamp", "")
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    fresh = timestamp.isdigit() and abs(time.time() - int(timestamp)) <= 300
    return fresh and hmac.compare_digest("sha256=" + mac.hexdigest(), headers.get("x-reader-signature", ""))


class Receiver:
    """Answers 401 to what is not genuine, where it has a `secret`; otherwise the next of `answers`, or 204.

    `gate`, once cleared, holds answers back until it is set.
    """

    def __init__(self, secret: str | None = None, port: int = 0) -> None:
        self.secret = secret
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.received: list[Received] = []
        self.gate = threading.Event()
        self.gate.set()
        self._waiting: queue.Queue[Received] = queue.Queue()
        self._lock = threading.Lock()
        self._server = _Server(self, port)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def next(self, event: str | None = None, seconds: float = 30) -> Received:
        """The next one that came, or the next with this event."""
        deadline = time.monotonic() + seconds
        while True:
            received = self._waiting.get(timeout=max(0.01, deadline - time.monotonic()))
            if event in (None, received.event):
                return received

    def events(self, answer: int = 204) -> list[str]:
        return [received.event for received in self.received if received.answer == answer]

    def take(self, headers: Mapping[str, str], body: bytes, path: str) -> int:
        at = time.monotonic()
        self.gate.wait()
        with self._lock:
            genuine = self.secret is None or is_genuine(headers, body, self.secret)
            answer = 401 if not genuine else self.answers.pop(0) if self.answers else 204
            received = Received(headers, body, at, answer, path)
            self.received.append(received)
        self._waiting.put(received)
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, *_: Any) -> None:
        """A sender that was killed is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.receiver.take(headers, body, self.path))
        for name, value in self.server.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Tests have enough to print."""
