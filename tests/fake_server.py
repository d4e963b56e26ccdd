"""A Reader API on a real socket, a thread a connection, that does everything wrong that a test asks for.

with FakeServer() as server:
    job = server.add(FakeJob(total=3))
    server.inject(faults.cut(100), match="GET /v1/jobs/", times=2)
    ...
    assert server.count("GET /v1/jobs/") == 4
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from fake_faults import Fault, refuse
from fake_jobs import FakeJob, make_page
from fake_routes import ROUTES, error
from fake_streams import StreamFaults, stream

KEY = "rdr_fake"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    def number(self, name: str, default: int) -> int:
        return int(parse_qs(urlsplit(self.target).query).get(name, [str(default)])[0])

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass
class _Injection:
    fault: Fault
    match: str
    times: int


class Exchange:
    """One request and the connection to answer it on."""

    def __init__(self, server: FakeServer, connection: socket.socket, request: Request) -> None:
        self.server = server
        self.request = request
        self._connection = connection
        self.closed = False

    def answer(self) -> bytes:
        """What the server would answer if nothing went wrong. It takes effect."""
        status, value = self.server.handle(self.request)
        return self.build(status, json.dumps(value).encode(), {"content-type": "application/json"})

    def build(self, status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "x-request-id: req_fake"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            self.server.gone.set()
            self.close()

    def close(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class FakeServer:
    """`requests` are all that came. `process` is what becomes of a submitted job; it finishes it at once by default."""

    def __init__(self, *, counts_failed: bool = False) -> None:
        self.key = KEY
        self.jobs: dict[str, FakeJob] = {}
        self.requests: list[Request] = []
        self.streams = StreamFaults()
        self.counts_failed = counts_failed
        self.process: Callable[[FakeJob, list[str]], None] = finish_at_once
        self.cap: Iterator[int] | None = None  # pages of an answer at most, however many were asked for
        self.claimed_entries: int | None = None  # pagination.total, whatever there is
        self.always_more = False
        self.before_answer: Callable[[], object] = lambda: None
        self.by_key: dict[str, dict[str, Any]] = {}
        self.workspace: list[tuple[str, Any]] = []
        self.usage: list[dict[str, Any]] = []
        self.webhooks: dict[str, dict[str, Any]] = {}
        self.workspace_changed = threading.Condition()
        self.stopping = threading.Event()
        self.gone = threading.Event()  # set when somebody left an open stream
        self._injections: list[_Injection] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for job in self.jobs.values():
            with job.changed:
                job.changed.notify_all()
        with self.workspace_changed:
            self.workspace_changed.notify_all()

    def drop_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def add(self, job: FakeJob) -> FakeJob:
        job.emit_workspace = self.emit
        self.jobs[job.id] = job
        return job

    def inject(self, fault: Fault, *, match: str = "", times: int = 1) -> None:
        """The next `times` requests whose `METHOD /path?query` holds `match` go wrong this way."""
        self._injections.append(_Injection(fault, match, times))

    def stop_injecting(self) -> None:
        self._injections.clear()

    def count(self, match: str) -> int:
        return sum(match in str(request) for request in list(self.requests))

    def handle(self, request: Request) -> tuple[int, Any]:
        """The right answer: status and envelope."""
        self.before_answer()
        for method, pattern, route in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return route(self, request, *found.groups())
        return error(404, "not_found")

    def emit(self, event: str, data: dict[str, Any]) -> None:
        with self.workspace_changed:
            self.workspace.append((event, data))
            self.workspace_changed.notify_all()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as incoming:
                while request := _read_request(incoming):
                    if not self._exchange(Exchange(self, connection, request)):
                        return
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)

    def _exchange(self, exchange: Exchange) -> bool:
        """Whether the connection stays open."""
        request = exchange.request
        self.requests.append(request)
        fault = self._fault_for(request)
        if fault is None and request.headers.get("x-api-key") != self.key:
            fault = refuse(401, "unauthenticated")
        if fault:
            fault(exchange)
        elif request.path.endswith("/stream") or request.path == "/v1/events":
            stream(exchange)
        else:
            exchange.send(exchange.answer())
        return not exchange.closed

    def _fault_for(self, request: Request) -> Fault | None:
        with self._lock:
            for injection in self._injections:
                if injection.times > 0 and injection.match in str(request):
                    injection.times -= 1
                    return injection.fault
        return None


def finish_at_once(job: FakeJob, urls: list[str]) -> None:
    for number, url in enumerate(urls):
        job.finish({**make_page(number), "url": url})
    job.end()


def _read_request(incoming: Any) -> Request | None:
    start = incoming.readline().decode("latin-1").split()
    if len(start) != 3:
        return None
    headers: dict[str, str] = {}
    while line := incoming.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = incoming.read(length)
    return Request(start[0], start[1], headers, body) if len(body) == length else None
