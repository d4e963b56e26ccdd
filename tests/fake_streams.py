"""Event streams of the fake server, and how they misbehave."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fake_faults import Fault, refuse
from fake_jobs import FakeJob

if TYPE_CHECKING:
    from fake_server import Exchange

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
