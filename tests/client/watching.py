"""What the tests of watching share."""

from __future__ import annotations

from collections.abc import Sequence

from fake_jobs import FakeJob

from reader_cli.client.api import Client
from reader_cli.client.watch import Via, WatchOptions, watch_jobs
from reader_cli.events import Done, Event, Notice, PageDone, PageFailed, Progress

FAILING = [3, 17, 40]
COUNT = 60


def watch(client: Client, job: FakeJob, via: Via = "auto", **options: float) -> list[Event]:
    return list(watch_jobs(client, [job.id], WatchOptions(via=via, **options)))


def told_pages(events: Sequence[Event]) -> list[str]:
    return sorted(event.url for event in events if isinstance(event, PageDone | PageFailed))


def vias(events: Sequence[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice) and event.code == "via"]


def check_end(events: Sequence[Event], job: FakeJob) -> None:
    done = events[-1]
    assert isinstance(done, Done) and sum(isinstance(event, Done) for event in events) == 1
    assert (done.status, done.completed, done.failed) == (job.status, job.completed, job.failed)
    failures = [event.url for event in events if isinstance(event, PageFailed)]
    assert sorted(failures) == sorted(entry["url"] for entry in job.entries if "error" in entry)
    counts = [event.completed for event in events if isinstance(event, Progress)]
    assert counts == sorted(counts)


def check_pages(events: Sequence[Event], job: FakeJob) -> None:
    assert told_pages(events) == sorted(entry["url"] for entry in job.entries)


def check_many(events: list[Event], jobs: list[FakeJob]) -> None:
    ends = {event.job_id: event for event in events if isinstance(event, Done)}
    assert len(ends) == len(jobs) == sum(isinstance(event, Done) for event in events)
    for job in jobs:
        done = ends[job.id]
        assert (done.status, done.completed, done.failed) == (job.status, job.completed, job.failed)
