"""Watching retries, crawls and many jobs at once; what watching costs, and leaving it."""

from __future__ import annotations

import threading
import time as real_time
from collections.abc import Callable

import fake_faults as faults
import pytest
from clocks import Fast, Skipping
from fake_jobs import FakeJob, make_failure, make_page, make_pages
from fake_server import FakeServer
from fake_streams import StreamFaults
from watching import COUNT, FAILING, check_end, check_many, check_pages, told_pages, watch

from reader_cli.client.api import Client
from reader_cli.client.watch import Via, WatchOptions, poll_interval, watch_jobs
from reader_cli.events import Done, PageFailed, Progress
from reader_cli.models import Job


@pytest.mark.parametrize("via", ["sse", "poll"])
@pytest.mark.parametrize("moves_to", [None, COUNT - 1], ids=["in place", "shifted"])
def test_the_end_before_a_retry_is_not_taken_for_the_new_one(
    via: Via, moves_to: int | None, fast: Client, server: FakeServer, job: FakeJob
) -> None:
    for page in make_pages(COUNT, failing=[3, 17]):
        job.finish(page)
    job.end()
    before: Job = fast.get_job(job.id).job

    def retried() -> None:
        job.retry()
        job.replace(3, make_page(3), to=moves_to)
        index = next(index for index, entry in enumerate(job.entries) if "error" in entry)
        job.replace(index, make_failure(17, "again"), to=moves_to)
        job.end()

    threading.Timer(0.3, retried).start()
    events = list(watch_jobs(fast, [job.id], WatchOptions(via=via), before={job.id: before}))
    done = events[-1]
    assert isinstance(done, Done) and (done.completed, done.failed) == (COUNT, 1)
    assert [event.error for event in events if isinstance(event, PageFailed)] == ["again"]
    assert len(told_pages(events)) <= 2


def test_a_retry_that_changed_nothing_visible_ends_too(fast: Client, server: FakeServer, job: FakeJob) -> None:
    for page in make_pages(COUNT, failing=[3]):
        job.finish(page)
    job.end()
    before = fast.get_job(job.id).job
    events = list(watch_jobs(fast, [job.id], WatchOptions(via="poll"), before={job.id: before}))
    assert isinstance(events[-1], Done) and events[-1].failed == 1


def test_urls_that_were_submitted_twice_are_two_pages(fast: Client, server: FakeServer, job: FakeJob) -> None:
    pages = [*make_pages(30, failing=[3]), *make_pages(30, failing=[3])]
    job.play(pages, every=0.005)
    events = watch(fast, job, "sse")
    check_end(events, job)
    check_pages(events, job)


def test_a_crawl_grows(fast: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(1, mode="crawl"))

    def crawl() -> None:
        for number in range(40):
            job.total = min(40, job.total + 3)
            job.finish(make_page(number))
            real_time.sleep(0.005)
        job.end()

    threading.Thread(target=crawl, daemon=True).start()
    events = watch(fast, job, "sse")
    check_end(events, job)
    totals = [event.total for event in events if isinstance(event, Progress)]
    assert totals == sorted(totals) and totals[-1] == 40


@pytest.mark.parametrize(("count", "every"), [(COUNT, 0.01), (2000, 0.0)])
def test_a_stream_from_the_start_costs_three_gets_and_ends_at_once(
    count: int, every: float, server: FakeServer, job: FakeJob
) -> None:
    job.play(make_pages(count, failing=FAILING), every=every)
    with Client(server.url, server.key) as client:
        events = watch(client, job)
    check_end(events, job)
    check_pages(events, job)
    assert len(server.requests) == 3
    assert real_time.monotonic() - job.ended_at < 0.2 or not every


def test_polling_for_five_minutes_costs_sixty_gets_at_most(server: FakeServer, client: Client, time: Skipping) -> None:
    job = server.add(FakeJob(COUNT))
    for page in make_pages(50):
        job.finish(page)
    end = time.clock() + 300
    server.before_answer = lambda: job.end() if time.clock() >= end and not job.terminal else None
    check_end(watch(client, job, "poll"), job)
    assert len(server.requests) <= 60
    assert (poll_interval(0), poll_interval(60), poll_interval(300), poll_interval(9000)) == (1, 5, 15, 15)


@pytest.mark.parametrize("counted", [False, True])
def test_many_jobs_share_one_stream(counted: bool, server: FakeServer) -> None:
    jobs = [server.add(FakeJob(20, counts_failed=counted)) for _ in range(50)]
    for number, job in enumerate(jobs):
        job.play(make_pages(20, failing=[7] if number % 2 else []), every=0.03, at_once=True)
    with Client(server.url, server.key) as client:
        events = list(watch_jobs(client, [job.id for job in jobs], WatchOptions()))
    check_many(events, jobs)
    assert server.count("/v1/events") == 1 and len(server.requests) <= 51 + (25 if counted else 0)


MANY: dict[str, tuple[StreamFaults, Via]] = {
    "cut": (StreamFaults(cut_after=20), "auto"),
    "refused": (StreamFaults(refusal=faults.html()), "auto"),
    "mute": (StreamFaults(mute=True), "auto"),
    "sse mute": (StreamFaults(mute=True), "sse"),
    "muddled": (StreamFaults(shuffle=True, repeat=2, from_start=True, cut_after=50, junk=True), "sse"),
    "poll": (StreamFaults(), "poll"),
}


@pytest.mark.parametrize("name", MANY)
def test_many_jobs_end_whatever_their_stream_does(name: str, fast: Client, server: FakeServer) -> None:
    server.streams, via = MANY[name]
    jobs = [server.add(FakeJob(20)) for _ in range(8)]
    for job in jobs[:6]:
        job.play(make_pages(20, failing=[7]), every=0.01, at_once=True)
    jobs[6].end("cancelled")
    threading.Timer(0.3, lambda: jobs[7].end("failed", "broke")).start()
    check_many(list(watch_jobs(fast, [job.id for job in jobs], WatchOptions(via=via))), jobs)


def test_an_engine_that_dies_is_watched_on(server: FakeServer, job: FakeJob) -> None:
    first = FakeServer()
    first.jobs = server.jobs
    clock = Fast(20)
    revive: Callable[[], tuple[str, str]] = lambda: (server.url, server.key)  # noqa: E731
    with first, Client(first.url, first.key, clock=clock.clock, sleep=clock.sleep, revive=revive) as client:
        job.play(make_pages(COUNT, failing=FAILING), every=0.01)
        threading.Timer(0.2, first.stop).start()
        events = watch(client, job, "sse")
    check_end(events, job)
    check_pages(events, job)


def test_leaving_a_watch_leaves_the_stream(server: FakeServer, job: FakeJob) -> None:
    server.streams.ping = 0.05
    with Client(server.url, server.key) as client:
        events = watch_jobs(client, [job.id], WatchOptions())
        next(events)
        events.close()
        assert server.gone.wait(10)
