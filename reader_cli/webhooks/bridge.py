"""Deliveries made on this machine out of the workspace's event stream, for a server that cannot reach it."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reader_cli import __version__
from reader_cli.client.workspace import REMEMBERED, WorkspaceEvent, watch_workspace
from reader_cli.errors import ApiError, Unreachable
from reader_cli.events import Notice
from reader_cli.models import TERMINAL, Status, WebhookEvent
from reader_cli.webhooks.delivery import REPLAY_HEADER, Delivery
from reader_cli.webhooks.signing import DELIVERY_HEADER, EVENT_HEADER

if TYPE_CHECKING:
    from reader_cli.client.api import Client

_ENDS = {Status.COMPLETED: WebhookEvent.COMPLETED, Status.FAILED: WebhookEvent.FAILED}
_TOLD = ("status", "completed", "total", "failed", "creditsUsed", "error")


def bridge_events(client: Client, secret: str, now: Callable[[], float]) -> Iterator[Delivery | Notice]:
    """What job.started, job.completed and job.failed would have been delivered, for ever. The stream tells no pages,
    and no credits. `now` gives unix seconds. Raises what `watch_workspace` does."""
    yield from _Bridge(client, secret, now).run()


class _Bridge:
    def __init__(self, client: Client, secret: str, now: Callable[[], float]) -> None:
        self._client, self._secret, self._now = client, secret, now
        self._running: OrderedDict[str, None] = OrderedDict()  # jobs that were seen at work, and not at their end
        self._asked: set[str] = set()  # jobs whose end is known from GET, and may be repeated by the stream

    def run(self) -> Iterator[Delivery | Notice]:
        for item in watch_workspace(self._client):
            if isinstance(item, WorkspaceEvent):
                yield from self._translate(item)
                continue
            yield item
            if item.code == "connected":
                yield from self._catch_up()

    def _translate(self, event: WorkspaceEvent) -> Iterator[Delivery]:
        if event.kind in TERMINAL:
            self._running.pop(event.job_id, None)
            if event.job_id in self._asked:
                self._asked.discard(event.job_id)
            elif event.kind in _ENDS:
                yield self._build(_ENDS[Status(event.kind)], event.data)
        elif event.data.get("status") == Status.PROCESSING and event.job_id not in self._running:
            self._running[event.job_id] = None
            self._asked.discard(event.job_id)
            if len(self._running) > REMEMBERED:
                self._running.popitem(last=False)
            yield self._build(WebhookEvent.STARTED, event.data)

    def _catch_up(self) -> Iterator[Delivery]:
        """The ends of jobs while there was no connection: not every server repeats what was missed."""
        for job_id in list(self._running):
            try:
                job: Mapping[str, Any] = self._client.get_job(job_id).job
            except (ApiError, Unreachable):
                continue
            if job["status"] in TERMINAL:
                del self._running[job_id]
                self._asked.add(job_id)
                if job["status"] in _ENDS:
                    yield self._build(_ENDS[Status(job["status"])], {**job, "jobId": job_id})

    def _build(self, event: WebhookEvent, data: Mapping[str, Any]) -> Delivery:
        payload = {"event": event, "jobId": data["jobId"], **{key: data[key] for key in _TOLD if key in data}}
        headers = (
            ("Content-Type", "application/json"),
            ("User-Agent", f"reader-cli/{__version__}"),
            (EVENT_HEADER, str(event)),
            (DELIVERY_HEADER, str(uuid.uuid4())),
            (REPLAY_HEADER, "true"),
        )
        now = self._now()
        return Delivery(headers, json.dumps(payload).encode(), now).signed(self._secret, now)
