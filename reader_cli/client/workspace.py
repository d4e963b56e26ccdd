"""The workspace's stream, over as many connections as it takes (contract: GET /v1/events)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from reader_cli.client.api import Client
from reader_cli.client.reconnecting import LASTING, RECONNECT
from reader_cli.client.retries import backoff, is_transient, pause_after
from reader_cli.client.sse import Ended, EventStream, Message, Opened
from reader_cli.client.wire import decode
from reader_cli.errors import ApiError, ReaderError, TimedOut, Unreachable
from reader_cli.events import Notice
from reader_cli.models import Status

KINDS = ("progress", Status.COMPLETED, Status.FAILED, Status.CANCELLED)
REMEMBERED = 10_000  # jobs whose last event is known, so that a repeated one is told once
TICK = 60.0  # seconds; the longest wait without a look at the clock


@dataclass(frozen=True, slots=True)
class WorkspaceEvent:
    """`name` is the wire's (`job:progress`, `job:completed`, `job:failed`, or one that is not known yet), `data` is as
    the server sent it."""

    name: str
    data: dict[str, Any]

    @property
    def job_id(self) -> str:
        """Empty for an event that is about no job."""
        return str(self.data.get("jobId") or "")

    @property
    def kind(self) -> str:
        """One of KINDS. A cancellation has no event of its own (contract: what the engine adds)."""
        cancelled = self.data.get("status") == Status.CANCELLED
        return Status.CANCELLED if cancelled else self.name.removeprefix("job:")


def watch_workspace(client: Client, *, deadline: float | None = None) -> Iterator[WorkspaceEvent | Notice]:
    """Every event from now on, once; it never ends by itself. A server that numbers its events repeats what was missed
    between two connections, another one doesn't. Notices are `connected` and `reconnecting`.

    The first connection is tried as long as any request, later ones for ever. Raises TimedOut at `deadline`, a value
    of the client's clock; ApiError for a refusal that time does not mend; Unreachable while there was no connection.
    """
    return _Workspace(client, deadline).run()


class _Workspace:
    def __init__(self, client: Client, deadline: float | None) -> None:
        self._client = client
        self._deadline = deadline
        self._first_until: float | None = client.clock() + client.patience  # None once there was a connection
        self._failures = 0  # of connections in a row
        self._down = False
        self._last_id = ""
        self._last_events: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def run(self) -> Iterator[WorkspaceEvent | Notice]:
        while True:
            started = self._client.clock()
            with EventStream(self._client.http, "/v1/events", self._last_id) as stream:
                ended = yield from self._listen(stream)
            self._last_id = stream.last_id
            lasted = self._client.clock() - started >= LASTING
            self._failures = 0 if lasted else self._failures + 1
            error = ended.error or Unreachable("the event stream ended")
            pause = max(self._pause(error), stream.retry or 0.0)
            self._check(error, pause)
            if not self._down:
                self._down = True
                yield Notice("", "reconnecting", f"{error.message}; connecting again")
            self._client.sleep(min(pause, self._left(pause)))

    def _listen(self, stream: EventStream) -> Generator[WorkspaceEvent | Notice, None, Ended]:
        while not isinstance(signal := stream.get(self._left(TICK)), Ended):
            if isinstance(signal, Opened):
                self._first_until, self._down = None, False
                yield Notice("", "connected", "connected")
            elif isinstance(signal, Message) and (event := self._read(signal)):
                yield event
        return signal

    def _read(self, message: Message) -> WorkspaceEvent | None:
        """None for what is no object, and for what was the last event of its job already."""
        data = decode(message.data)
        if not isinstance(data, dict):
            return None
        event = WorkspaceEvent(message.event, data)
        fingerprint = message.event, message.data
        if event.job_id and self._last_events.pop(event.job_id, None) == fingerprint:
            self._last_events[event.job_id] = fingerprint
            return None
        self._last_events[event.job_id] = fingerprint
        if len(self._last_events) > REMEMBERED:
            self._last_events.popitem(last=False)
        return event

    def _left(self, longest: float) -> float:
        """Seconds until the deadline, at most `longest`. Raises TimedOut past it."""
        if self._deadline is None:
            return longest
        left = self._deadline - self._client.clock()
        if left <= 0:
            raise TimedOut("the time is up; the jobs go on")
        return min(left, longest)

    def _pause(self, error: ReaderError) -> float:
        if isinstance(error, ApiError | Unreachable) and error.retry_after is not None:
            return pause_after(error, self._failures)
        return backoff(self._failures, first=RECONNECT[0], longest=RECONNECT[1])

    def _check(self, error: ReaderError, pause: float) -> None:
        """Raises `error` where another connection can't mend it. What is no answer of the API's is borne once there
        was one: a network that wants a log-in answers everything with its own page."""
        if self._first_until is not None and self._client.clock() + pause > self._first_until:
            raise error
        if not is_transient(error) and (self._first_until is not None or isinstance(error, ApiError)):
            raise error
