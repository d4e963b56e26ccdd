"""Following jobs by webhook: neither polling nor an open connection; GET confirms what a delivery told."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reader_cli.client.api import Client
from reader_cli.client.watch import WatchOptions, watch_jobs
from reader_cli.errors import TimedOut
from reader_cli.events import Event, Notice, PageDone, PageFailed, Progress
from reader_cli.models import TERMINAL, Job, WebhookEvent
from reader_cli.webhooks.delivery import Delivery
from reader_cli.webhooks.receiver import Receiver
from reader_cli.webhooks.registration import NAMES, reachable_url, registered
from reader_cli.webhooks.secret import generate_secret
from reader_cli.webhooks.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify

EVENTS = (WebhookEvent.STARTED, WebhookEvent.PAGE, WebhookEvent.COMPLETED, WebhookEvent.FAILED)
ENDS = (WebhookEvent.COMPLETED, WebhookEvent.FAILED)
# Seconds without a delivery after which GET is asked, at first and at most: of a cancellation no event tells, and an
# engine that died sends none.
QUIET = (30.0, 300.0)

Inbox = queue.SimpleQueue[Delivery]


def watch_by_webhook(
    client: Client,
    job_ids: Sequence[str],
    options: WatchOptions,
    *,
    port: int,
    public_url: str | None,
    before: Mapping[str, Job],
) -> Iterator[Event]:
    """As `client.watch.watch_jobs`, whose errors it raises, by a webhook of its own that is removed at the end.

    It listens on `port`, 0 for any; `public_url` is where the server reaches that, None on this machine. Raises
    UsageError for a server that can't.
    """
    inbox, secret = Inbox(), generate_secret()

    def take(delivery: Delivery) -> int:
        timestamp, signature = delivery.header(TIMESTAMP_HEADER), delivery.header(SIGNATURE_HEADER)
        if not verify(delivery.body, timestamp, signature, secret=secret):
            return 401
        inbox.put(delivery)
        return 204

    with Receiver("127.0.0.1", port, take) as receiver:
        url = reachable_url(client, receiver, public_url)
        with registered(client, NAMES[1], url, EVENTS, secret):
            yield Notice("", "via", "webhook")
            yield from _Watch(client, job_ids, inbox, options, before).run()


class _Watch:
    def __init__(
        self,
        client: Client,
        job_ids: Sequence[str],
        inbox: Inbox,
        options: WatchOptions,
        before: Mapping[str, Job],
    ) -> None:
        self._client, self._inbox, self._options, self._before = client, inbox, options, before
        self._completed = dict.fromkeys(job_ids, -1)  # of the jobs that have not ended, as it was told last
        self._failures: Counter[tuple[str, str]] = Counter()  # job and URL of those that were told
        self._quiet = QUIET[0]

    def run(self) -> Iterator[Event]:
        yield from self._ask()  # a job may have ended before the webhook was there
        while self._completed:
            delivery = self._wait()
            if delivery is None:
                self._quiet = min(self._quiet * 2, QUIET[1])
                yield from self._ask()
            else:
                self._quiet = QUIET[0]
                yield from self._take(delivery)

    def _wait(self) -> Delivery | None:
        """None when it was quiet for long."""
        self._options.before_waiting()
        left = self._left()
        try:
            return self._inbox.get(timeout=min(self._quiet, left))
        except queue.Empty:
            if left <= self._quiet:
                raise TimedOut("the time is up; the job goes on") from None
            return None

    def _ask(self) -> Iterator[Event]:
        self._options.before_waiting()
        for job_id in list(self._completed):
            patience = min(self._options.give_up_after, self._left())
            job = self._client.get_job(job_id, patience=patience).job
            yield from self._finish(job_id) if job["status"] in TERMINAL else self._progress(job_id, job)

    def _take(self, delivery: Delivery) -> Iterator[Event]:
        payload = delivery.payload or {}
        job_id = str(payload.get("jobId"))
        if job_id not in self._completed:
            return
        if delivery.event in ENDS:
            yield from self._finish(job_id)
            return
        if delivery.event == WebhookEvent.PAGE:
            yield self._page(job_id, payload)
        yield from self._progress(job_id, payload)

    def _page(self, job_id: str, payload: Mapping[str, Any]) -> Event:
        url, error = str(payload.get("url")), payload.get("error")
        if error is None:
            return PageDone(job_id, url, status_code=payload.get("statusCode"))
        self._failures[job_id, url] += 1
        return PageFailed(job_id, url, str(error))

    def _progress(self, job_id: str, counts: Mapping[str, Any]) -> Iterator[Event]:
        """Deliveries come in any order; an older one has nothing to tell."""
        completed, total = counts.get("completed"), counts.get("total")
        if isinstance(completed, int) and isinstance(total, int) and completed > self._completed[job_id]:
            self._completed[job_id] = completed
            status, failed, used = str(counts.get("status")), counts.get("failed"), counts.get("creditsUsed")
            yield Progress(job_id, status, completed, total, failed, used)

    def _finish(self, job_id: str) -> Iterator[Event]:
        """A terminal state is believed only from GET: asked at once, and on if it was not the end after all."""
        del self._completed[job_id]
        for event in watch_jobs(self._client, [job_id], replace(self._options, via="poll"), before=self._before):
            if isinstance(event, PageFailed) and self._failures[job_id, event.url]:
                self._failures[job_id, event.url] -= 1
            elif not (isinstance(event, Notice) and event.code == "via"):
                yield event

    def _left(self) -> float:
        deadline = self._options.deadline
        return float("inf") if deadline is None else max(deadline - self._client.clock(), 0.0)
