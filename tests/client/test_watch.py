"""Watching through everything that breaks: right counts, every page once, an end that GET confirmed."""

from __future__ import annotations

import threading
import time as real_time

import fake_faults as faults
import pytest
from fake_jobs import FakeJob, make_pages
from fake_server import FakeServer
from fake_streams import StreamFaults
from watching import COUNT, FAILING, check_end, check_pages, told_pages, vias, watch

from reader_cli.client.api import Client
from reader_cli.client.watch import Via
from reader_cli.errors import ApiError, TimedOut, Unreachable
from reader_cli.events import Done, Notice

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
    assert [event.code for event in events if isinstance(event, Notice)] == ["reconnecting", "via"]  # told once


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
    assert [event.code for event in events if isinstance(event, Notice)] == ["via"] and vias(events) == ["sse"]


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
