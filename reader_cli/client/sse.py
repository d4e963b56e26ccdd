"""An open event stream, read by a thread of its own, so that who waits for it can look at the clock and at Ctrl-C."""

from __future__ import annotations

import queue
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
from httpx_sse import EventSource

from reader_cli.client.http import Http
from reader_cli.client.wire import not_the_api, read_envelope
from reader_cli.errors import ApiError, ReaderError, Unreachable
from reader_cli.models import PING_SECONDS

SILENCE = 1.5 * PING_SECONDS  # seconds without as much as a ping: the stream is dead
BACKLOG = 1 << 20  # bytes of events read ahead
GATHER = 0.002  # seconds for events to gather: to wake up for each one costs as much as to read it
LONGEST_RETRY = 15.0  # seconds; `retry:` is a wish, not an order
REFUSAL_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The server answered with an event stream."""


@dataclass(frozen=True, slots=True)
class Message:
    event: str
    data: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream is over; that says nothing of the job. `refused` when it never was one."""

    error: ReaderError | None = None
    refused: bool = False

    @property
    def silent(self) -> bool:
        return self.error is not None and isinstance(self.error.__cause__, httpx.ReadTimeout)


# What a server sends as an id must fit into a header of ours.
_ID = re.compile(r"[!-~]{1,1000}")

Signal = Opened | Message | Ended


class EventStream:
    """Connects at once. `last_id` and `retry` (seconds, None if the server has no wish) are as the stream left them."""

    def __init__(self, http: Http, path: str, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: float | None = None
        self._http = http
        self._path = path
        self._signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()  # a bounded Queue costs ten times as much
        self._read_bytes = self._taken_bytes = 0  # each is written by one thread only
        self._room = threading.Event()
        self._emptied = False  # by the latest `get`
        self._closed = threading.Event()
        self._disconnect: Callable[[], None] = lambda: None
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def get(self, timeout: float) -> Signal | None:
        """The next signal; None when there was none for `timeout` seconds."""
        if self._emptied and timeout > GATHER:
            time.sleep(GATHER)
        try:
            signal = self._signals.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None
        self._emptied = self._signals.empty()
        if isinstance(signal, Message):
            self._taken_bytes += len(signal.data)
            if not self._room.is_set() and self._backlog < BACKLOG // 2:
                self._room.set()
        return signal

    def close(self) -> None:
        self._closed.set()
        self._room.set()
        self._disconnect()

    def _run(self) -> None:
        try:
            self._put(self._read())
        except ReaderError as error:
            self._put(Ended(error))
        except Exception as error:  # nobody would see this thread die
            self._put(Ended(Unreachable(f"the event stream broke: {error}")))

    def _read(self) -> Ended:
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if _ID.fullmatch(self.last_id):
            headers["last-event-id"] = self.last_id
        with self._http.stream(self._path, timeout=SILENCE, headers=headers) as response:
            self._disconnect = _shutdown_of(response)
            if self._closed.is_set():
                return Ended()
            if refusal := self._refusal(response):
                return Ended(refusal, refused=True)
            self._put(Opened())
            self._pass_on(response)
        return Ended()

    def _refusal(self, response: httpx.Response) -> ReaderError | None:
        """A status or a type that is no stream's. Whoever claims one with a 503 is not believed."""
        if response.status_code == 200 and "text/event-stream" in response.headers.get("content-type", ""):
            return None
        answer = self._http.read(response, REFUSAL_TIMEOUT)
        try:
            read_envelope(answer)
        except (ApiError, Unreachable) as error:
            return error
        return not_the_api(answer)

    def _pass_on(self, response: httpx.Response) -> None:
        response.encoding = "utf-8"  # whatever the header says (WHATWG HTML, 9.2.5)
        for event in EventSource(response).iter_sse():
            self.last_id = event.id
            if event.retry is not None:
                self.retry = min(max(event.retry / 1000, 0.0), LONGEST_RETRY)
            if event.data:  # a ping after an id comes as an event without data
                self._put(Message(event.event, event.data))
            if self._closed.is_set():
                return

    @property
    def _backlog(self) -> int:
        return self._read_bytes - self._taken_bytes

    def _put(self, signal: Signal) -> None:
        """Waits for room afterwards, so that a reader that is slower than the server slows the server down."""
        self._signals.put(signal)
        if isinstance(signal, Message):
            self._read_bytes += len(signal.data)
        while self._backlog >= BACKLOG and not self._closed.is_set():
            self._room.clear()
            if self._backlog >= BACKLOG:  # it may have been taken before the clearing
                self._room.wait(0.5)


def _shutdown_of(response: httpx.Response) -> Callable[[], None]:
    """Wakes a thread that waits for the response's next byte, which closing the descriptor does not."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream else None

    def shutdown() -> None:
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    return shutdown
