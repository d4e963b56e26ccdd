"""One event stream over as many connections as it takes."""

from __future__ import annotations

from reader_cli.client.api import Client
from reader_cli.client.retries import backoff
from reader_cli.client.sse import EventStream, Signal

RECONNECT = (0.2, 10.0)  # seconds before a stream is opened again: at first, and at most
LASTING = 5.0  # seconds that a stream lives to count as a good one


class Reconnecting:
    """`connect_at` is when the next connection is due, `connected_at` when the last was opened, by the client's clock.
    `connected` says whether there is one, of which nothing may have come yet."""

    def __init__(self, client: Client, path: str) -> None:
        self.connect_at = self.connected_at = client.clock()
        self._client = client
        self._path = path
        self._stream: EventStream | None = None
        self._last_id = ""
        self._wish = 0.0  # seconds that the server wants between two connections
        self._failures = 0  # of connections in a row

    @property
    def connected(self) -> bool:
        return self._stream is not None

    def connect(self) -> bool:
        """Opens a connection if one is due; whether it did."""
        now = self._client.clock()
        if self._stream or now < self.connect_at:
            return False
        self._stream = EventStream(self._client.http, self._path, self._last_id)
        self.connected_at = now
        return True

    def get(self, timeout: float) -> Signal | None:
        """The next signal of an open connection; None when there was none for `timeout` seconds."""
        return self._stream.get(timeout) if self._stream else None

    def lose(self) -> None:
        """Closes what there is; the next connection is due after a pause that grows with failures."""
        self.close()
        now = self._client.clock()
        self._failures = 0 if now - self.connected_at >= LASTING else self._failures + 1
        pause = backoff(self._failures, first=RECONNECT[0], longest=RECONNECT[1])
        self.connect_at = now + max(self._wish, pause)

    def close(self) -> None:
        if self._stream:
            self._stream.close()
            self._last_id, self._wish = self._stream.last_id, self._stream.retry or self._wish
            self._stream = None
