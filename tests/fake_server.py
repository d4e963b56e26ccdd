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
import random
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

KEY = "rdr_fake"
EVENT_STREAM = {"content-type": "text/event-stream", "cache-control": "no-store"}

JUNK = [
    b"event: page\ndata: no JSON\n\n",
    b"event: page\ndata: {}\n\n",
    b'event: page\ndata: {"url": 7}\n\n',
    b'event: error\ndata: [1, "\xff"]\n\n',
    b'event: progress\ndata: {"jobId": {}, "status": ["completed"], "completed": "many"}\n\n',
    b'event: progress\ndata: {"status": {}, "completed": 1e999, "total": null}\n\n',
    b'event: job:progress\ndata: {"jobId": [], "status": []}\n\n',
    b"event: of tomorrow\ndata: {}\n\n",
    b"\xfe\xff: \x00\n\n",
]


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
class StreamFaults:
    """How streams misbehave. `ids` sends event ids and replays after Last-Event-ID, as the engine does."""

    cut_after: int | None = None  # events
    cut_after_bytes: int | None = None
    mute: bool = False  # headers, and then nothing
    ping: float = 30.0
    ids: bool = False
    snapshot: bool = True  # a progress event first
    from_start: bool = False  # all events of the job again in each stream
    repeat: int = 1  # each event so many times
    shuffle: bool = False  # events that wait together, in any order
    lie: bool = False  # `done` at once
    junk: bool = False  # among the events
    done: bool = True  # False: ends without `done`
    refusal: Fault | None = None


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
        for method, pattern, route in _ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return route(self, request, *found.groups())
        return _error(404, "not_found")

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


def stream(exchange: Exchange) -> None:
    """Answers with events until the job ends or the script says otherwise."""
    server, script = exchange.server, exchange.server.streams
    job = server.jobs.get(exchange.request.path.split("/")[3]) if "jobs" in exchange.request.path else None
    if script.refusal or (job is None and exchange.request.path != "/v1/events"):
        (script.refusal or refuse(404, "not_found"))(exchange)
        return
    head = "".join(f"{name}: {value}\r\n" for name, value in EVENT_STREAM.items())
    exchange.send(f"HTTP/1.1 200 OK\r\n{head}connection: close\r\n\r\n".encode())
    if script.mute:
        server.stopping.wait()
    left = script.cut_after_bytes
    for count, event in enumerate(_events(exchange, job, script)):
        data = event if left is None else event[:left]
        exchange.send(data)
        left = None if left is None else left - len(data)
        if exchange.closed or left == 0 or count + 1 == script.cut_after:
            break
    exchange.close()


def _events(exchange: Exchange, job: FakeJob | None, script: StreamFaults) -> Iterator[bytes]:
    changed = job.changed if job else exchange.server.workspace_changed
    source = job.events if job else exchange.server.workspace
    last = exchange.request.headers.get("last-event-id")
    position = int(last) if script.ids and last else 0 if script.from_start else len(source)
    if job and script.snapshot:
        yield _event("progress", job.progress())
    if job and script.lie:
        yield _event("done", {"status": "completed", "completed": job.total, "total": job.total})
    while not exchange.server.stopping.is_set():
        with changed:
            if position == len(source) and not (job and job.terminal) and not changed.wait(script.ping):
                yield b": ping\n\n"
            batch, start = source[position:], position
            position = len(source)
            ended = job is not None and job.terminal
        numbered = list(enumerate(batch, start + 1))
        if script.shuffle:
            random.shuffle(numbered)
        for number, (name, data) in numbered:
            yield _event(name, data, number if script.ids else None) * script.repeat
            if script.junk:
                yield random.choice(JUNK)
        if job and ended:
            if script.done and job.status != "cancelled":
                yield _event("done", job.progress())
            return


def _event(name: str, data: Any, number: int | None = None) -> bytes:
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


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


def _ok(data: Any, status: int = 200, **more: Any) -> tuple[int, Any]:
    return status, {"success": True, "data": data, **more}


def _error(http_status: int, code: str, /, **details: Any) -> tuple[int, Any]:
    error = {"code": code, "message": f"refused: {code}", "details": details, "docsUrl": f"https://docs.test/{code}"}
    return http_status, {"success": False, "error": error}


def _read(server: FakeServer, request: Request) -> tuple[int, Any]:
    body = json.loads(request.body)
    if "urls" not in body and "maxDepth" not in body and "maxPages" not in body:
        return _ok({**make_page(0), "url": body["url"]})
    key = request.headers.get("x-idempotency-key", "")
    if key not in server.by_key:
        urls = body.get("urls") or [body["url"]]
        job = server.add(FakeJob(len(urls), counts_failed=server.counts_failed))
        server.by_key[key] = job.wire()
        server.process(job, urls)
    return _ok(server.by_key[key], 201)


def _get_job(server: FakeServer, request: Request, job_id: str) -> tuple[int, Any]:
    job = server.jobs.get(job_id)
    if job is None:
        return _error(404, "not_found")
    skip, limit = request.number("skip", 0), request.number("limit", 20)
    with job.changed:
        entries = job.entries[skip : skip + min(limit, next(server.cap) if server.cap else limit)]
        more = server.always_more or skip + len(entries) < len(job.entries)
        total = len(job.entries) if server.claimed_entries is None else server.claimed_entries
        page = {"total": total, "skip": skip, "limit": limit, "hasMore": more}
        job.asked.set()
        return _ok({**job.wire(), "results": entries}, pagination=page)


def _cancel(server: FakeServer, request: Request, job_id: str) -> tuple[int, Any]:
    job = server.jobs.get(job_id)
    if job is None:
        return _error(404, "not_found")
    if job.terminal:
        return _error(409, "conflict", status=job.status)
    job.end("cancelled")
    return _ok({"id": job.id, "status": "cancelled"})


def _retry(server: FakeServer, request: Request, job_id: str) -> tuple[int, Any]:
    job = server.jobs.get(job_id)
    if job is None:
        return _error(404, "not_found")
    if not job.terminal or not job.failed:
        return _error(400, "invalid_request")
    return _ok({"id": job.id, "status": "queued", "retrying": job.retry()})


def _usage(server: FakeServer, request: Request) -> tuple[int, Any]:
    skip, limit = request.number("skip", 0), request.number("limit", 20)
    entries = server.usage[skip : skip + limit]
    more = skip + len(entries) < len(server.usage)
    return _ok(entries, pagination={"total": len(server.usage), "skip": skip, "limit": limit, "hasMore": more})


def _webhook(server: FakeServer, request: Request, webhook_id: str) -> tuple[int, Any]:
    if webhook_id not in server.webhooks:
        return _error(404, "not_found")
    if request.method == "DELETE":
        del server.webhooks[webhook_id]
        return _ok({"id": webhook_id})
    return _ok(server.webhooks[webhook_id] | json.loads(request.body))


def _webhooks(server: FakeServer, request: Request) -> tuple[int, Any]:
    if request.method == "POST":
        made = {"id": f"wh_{len(server.webhooks) + 1}", "active": True, **json.loads(request.body)}
        server.webhooks[made["id"]] = made
        return _ok(made, 201)
    known = list(server.webhooks.values())
    return _ok(known, pagination={"total": len(known), "skip": 0, "limit": 20, "hasMore": False})


def _fixed(data: Any) -> Callable[..., tuple[int, Any]]:
    return lambda server, request: _ok(data)


_ROUTES: list[tuple[str, str, Callable[..., tuple[int, Any]]]] = [
    ("POST", "/v1/read", _read),
    ("GET", "/v1/jobs/([^/]+)", _get_job),
    ("DELETE", "/v1/jobs/([^/]+)", _cancel),
    ("POST", "/v1/jobs/([^/]+)/retry", _retry),
    ("POST", "/v1/webhooks", _webhooks),
    ("GET", "/v1/webhooks", _webhooks),
    ("PATCH", "/v1/webhooks/([^/]+)", _webhook),
    ("DELETE", "/v1/webhooks/([^/]+)", _webhook),
    ("GET", "/v1/usage/history", _usage),
    ("GET", "/v1/usage/credits", _fixed({"balance": 90, "limit": 100, "used": 10, "tier": "free", "resetAt": None})),
    ("GET", "/v1/queue/status", _fixed({"activeJobs": 1, "waitingJobs": 0, "maxConcurrency": 2})),
]
