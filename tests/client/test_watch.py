"""Watching through everything that breaks: right counts, every page once, an end that GET confirmed."""

from __future__ import annotations

import threading
import time as real_time
from collections.abc import Callable, Iterator, Sequence

import fake_faults as faults
import pytest
from clocks import Fast, Skipping
from fake_jobs import FakeJob, make_failure, make_page, make_pages
from fake_server import FakeServer, StreamFaults

from reader_cli.client.api import Client
from reader_cli.client.watch import Via, WatchOptions, poll_interval, watch_jobs
from reader_cli.errors import ApiError, TimedOut, Unreachable
from reader_cli.events import Done, Event, Notice, PageDone, PageFailed, Progress
from reader_cli.models import Job

FAILING = [3, 17, 40]
COUNT = 60


@pytest.fixture
def fast(server: FakeServer) -> Iterator[Client]:
    """A client whose seconds last 50 ms."""
    clock = Fast(20)
    with Client(server.url, server.key, clock=clock.clock, sleep=clock.sleep, patience=2) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["uncounted", "counted"])
def job(request: pytest.FixtureRequest, server: FakeServer) -> FakeJob:
    return server.add(FakeJob(COUNT, counts_failed=request.param))


def watch(client: Client, job: FakeJob, via: Via = "auto", **options: float) -> list[Event]:
    return list(watch_jobs(client, [job.id], WatchOptions(via=via, **options)))


def told_pages(events: Sequence[Event]) -> list[str]:
    return sorted(
        event.page["url"] if isinstance(event, PageDone) else event.url
        for event in events
        if isinstance(event, PageDone | PageFailed)
    )


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


STREAMS = {
    "fine": StreamFaults(),
    "cut": StreamFaults(cut_after=3),
    "ids": StreamFaults(cut_after=3, ids=True),
    "replayed": StreamFaults(cut_after=7, from_start=True),
    "bare": StreamFaults(snapshot=False, done=False),
    "repeated": StreamFaults(repeat=3),
    "shuffled": StreamFaults(shuffle=True, from_start=True),
    "lying": StreamFaults(lie=True, cut_after=9),
    "junk": StreamFaults(junk=True),
    "muddled": StreamFaults(cut_after=11, repeat=2, shuffle=True, lie=True, done=False, junk=True),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_misbehaves_tells_every_page_once(
    name: str, fast: Client, server: FakeServer, job: FakeJob
) -> None:
    server.streams = STREAMS[name]
    job.play(make_pages(COUNT, failing=FAILING), every=0.005)
    events = watch(fast, job, "sse")
    check_end(events, job)
    check_pages(events, job)
    assert vias(events) == ["sse"]


@pytest.mark.parametrize("size", [0, 1, 30, 150, 151, 160, 170, 333, 1000])
def test_a_stream_may_be_cut_after_any_byte(size: int, fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.streams.cut_after_bytes = size
    job.play(make_pages(COUNT, failing=FAILING), every=0.005)
    events = watch(fast, job, "sse")
    check_end(events, job)
    check_pages(events, job)


def test_polling_counts_failures_from_the_results_if_need_be(fast: Client, server: FakeServer, job: FakeJob) -> None:
    job.play(make_pages(COUNT, failing=FAILING), every=0.005)
    events = watch(fast, job, "poll")
    check_end(events, job)
    assert vias(events) == ["poll"] and server.count("/stream") == 0


def test_polling_a_job_without_failures_reads_no_results(fast: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(COUNT, counts_failed=True))
    job.play(make_pages(COUNT), every=0.005)
    check_end(watch(fast, job, "poll"), job)
    assert all("skip=0&limit=1" in str(request) for request in server.requests)


@pytest.mark.parametrize("via", ["sse", "poll"])
def test_a_job_that_ended_long_ago(via: Via, fast: Client, server: FakeServer, job: FakeJob) -> None:
    for page in make_pages(COUNT, failing=FAILING):
        job.finish(page)
    job.end()
    check_end(watch(fast, job, via), job)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
@pytest.mark.parametrize("via", ["sse", "poll"])
def test_other_ends(status: str, via: Via, fast: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(COUNT))
    for page in make_pages(20, failing=FAILING):
        job.finish(page)
    threading.Timer(0.2, lambda: job.end(status, "it broke" if status == "failed" else None)).start()
    events = watch(fast, job, via)
    check_end(events, job)
    assert isinstance(events[-1], Done) and events[-1].error == job.error


def test_a_watch_that_begins_in_the_middle(fast: Client, server: FakeServer, job: FakeJob) -> None:
    pages = make_pages(COUNT, failing=FAILING)
    for page in pages[:45]:
        job.finish(page)
    job.play(pages[45:], every=0.01)
    events = watch(fast, job, "sse")
    check_end(events, job)
    assert set(told_pages(events)) >= {page["url"] for page in pages[46:]}


REFUSALS = {
    "html": faults.html(502),
    "not a stream": faults.reply(200, b"{}", {"content-type": "application/json"}),
    "forbidden": faults.refuse(403, "no_streams_for_you"),
    "claims": faults.reply(503, b"data: {}\n\n", {"content-type": "text/event-stream"}),
    "busy": faults.rate_limited(1),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_auto_polls_where_a_stream_is_refused(name: str, fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.streams.refusal = REFUSALS[name]
    job.play(make_pages(COUNT, failing=FAILING), every=0.005)
    events = watch(fast, job)
    check_end(events, job)
    assert vias(events) == ["poll"] and server.count("/stream") == 1


def test_sse_insists_on_its_stream(fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.inject(faults.html(502), match="/stream", times=3)
    job.play(make_pages(COUNT, failing=FAILING), every=0.01)
    events = watch(fast, job, "sse")
    check_end(events, job)
    assert server.count("/stream") > 3


@pytest.mark.parametrize("mute", [True, False])
def test_auto_polls_where_a_stream_stays_silent(mute: bool, fast: Client, server: FakeServer, job: FakeJob) -> None:
    if mute:
        server.streams.mute = True
    else:
        server.streams.refusal = faults.silent
    job.play(make_pages(COUNT, failing=FAILING), every=0.03)
    events = watch(fast, job)
    check_end(events, job)
    assert vias(events)[-1] == "poll"


def test_a_cancellation_is_noticed_on_a_quiet_stream(fast: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(COUNT))
    server.streams = StreamFaults(done=False, mute=True)
    threading.Timer(0.3, lambda: job.end("cancelled")).start()
    events = watch(fast, job, "sse")
    check_end(events, job)


def test_a_job_that_is_not_there_yet_is_waited_for(fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.inject(faults.refuse(404, "not_found"), times=4)
    job.play(make_pages(COUNT, failing=FAILING), every=0.005)
    events = watch(fast, job)
    check_end(events, job)
    assert vias(events) == ["sse"]


@pytest.mark.parametrize("via", ["sse", "poll"])
def test_a_job_that_never_comes_is_not_found(via: Via, fast: Client, server: FakeServer) -> None:
    with pytest.raises(ApiError) as caught:
        watch(fast, FakeJob(1), via)
    assert caught.value.code == "not_found"
    assert server.count("GET /v1/jobs") >= 4


@pytest.mark.parametrize("via", ["sse", "poll"])
def test_a_401_in_the_middle_ends_it(via: Via, fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.streams.cut_after = 5
    job.play(make_pages(COUNT), every=0.02)
    threading.Timer(0.2, lambda: setattr(server, "key", "another")).start()
    with pytest.raises(ApiError) as caught:
        watch(fast, job, via)
    assert caught.value.code == "unauthenticated"


GET_FAULTS = {
    "html": faults.html(503),
    "dropped": faults.drop,
    "cut": faults.cut(200),
    "junk": faults.reply(200, b"[]"),
    "limited": faults.rate_limited(2),
    "unnamed limit": faults.rate_limited(),
}


@pytest.mark.parametrize("name", GET_FAULTS)
@pytest.mark.parametrize("via", ["sse", "poll"])
def test_a_storm_of_faults_is_borne(via: Via, name: str, fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.streams.cut_after = 10
    server.inject(GET_FAULTS[name], match=f"{job.id}?", times=8)
    job.play(make_pages(COUNT, failing=FAILING), every=0.01)
    events = watch(fast, job, via)
    check_end(events, job)


@pytest.mark.parametrize("via", ["sse", "poll"])
def test_429s_never_make_it_give_up(via: Via, fast: Client, server: FakeServer, job: FakeJob) -> None:
    server.inject(faults.rate_limited(4), match=f"{job.id}?", times=8)
    job.play(make_pages(COUNT, failing=FAILING), every=0.02)
    events = watch(fast, job, via, give_up_after=5)
    check_end(events, job)
    assert any(isinstance(event, Notice) and event.code == "waiting" for event in events)


@pytest.mark.parametrize("via", ["sse", "poll"])
def test_when_nothing_answers_it_gives_up(via: Via, fast: Client, server: FakeServer, job: FakeJob) -> None:
    threading.Timer(0.2, server.stop).start()
    started = real_time.monotonic()
    with pytest.raises(Unreachable, match="may well be running"):
        watch(fast, job, via, give_up_after=30)
    assert 1.2 < real_time.monotonic() - started < 5


@pytest.mark.parametrize("via", ["sse", "poll"])
@pytest.mark.parametrize("fault", [None, faults.silent, faults.html()], ids=["none", "silent", "html"])
def test_the_deadline_is_kept(via: Via, fault: faults.Fault | None, server: FakeServer) -> None:
    job = server.add(FakeJob(3))
    if fault:
        server.inject(fault, times=1000)
    with Client(server.url, server.key) as client:
        started = real_time.monotonic()
        with pytest.raises(TimedOut):
            watch(client, job, via, deadline=client.clock() + 0.7)
        assert 0.6 < real_time.monotonic() - started < 2.5


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


def test_a_stream_from_the_start_costs_three_gets_and_ends_at_once(server: FakeServer, job: FakeJob) -> None:
    job.play(make_pages(COUNT, failing=FAILING), every=0.01)
    with Client(server.url, server.key) as client:
        events = watch(client, job)
    check_end(events, job)
    check_pages(events, job)
    assert len(server.requests) == 3
    assert real_time.monotonic() - job.ended_at < 0.2


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


def check_many(events: list[Event], jobs: list[FakeJob]) -> None:
    ends = {event.job_id: event for event in events if isinstance(event, Done)}
    assert len(ends) == len(jobs) == sum(isinstance(event, Done) for event in events)
    for job in jobs:
        done = ends[job.id]
        assert (done.status, done.completed, done.failed) == (job.status, job.completed, job.failed)


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
