"""Following a job's results: each page once, in order, as it finishes, through everything that breaks."""

from __future__ import annotations

import json
import threading

import fake_faults as faults
import pytest
from fake_jobs import FakeJob, make_failure, make_page, make_pages
from fake_server import FakeServer
from fake_streams import StreamFaults

from reader_cli.client.api import Client
from reader_cli.client.watch import Via, WatchOptions, follow_pages
from reader_cli.events import Done
from reader_cli.models import Page

COUNT = 80
FAILING = [3, 17, 40]


def follow(client: Client, job: FakeJob, via: Via = "sse") -> list[Page]:
    items = list(follow_pages(client, job.id, WatchOptions(via=via)))
    done = items[-1]
    assert isinstance(done, Done)
    assert (done.status, done.completed, done.failed) == (job.status, job.completed, job.failed)
    return [json.loads(item) for item in items if isinstance(item, bytes)]


STREAMS = {
    "fine": StreamFaults(),
    "cut": StreamFaults(cut_after=3),
    "ids": StreamFaults(cut_after=3, ids=True),
    "replayed": StreamFaults(cut_after=9, from_start=True, repeat=2),
    "bare": StreamFaults(snapshot=False, done=False, cut_after=20),
    "lying": StreamFaults(lie=True, cut_after=9),
    "mute": StreamFaults(mute=True),
    "refused": StreamFaults(refusal=faults.html()),
}


@pytest.mark.parametrize("begun", [0, 30])
@pytest.mark.parametrize("name", STREAMS)
def test_each_page_comes_once_and_in_order(name: str, begun: int, fast: Client, server: FakeServer) -> None:
    server.streams = STREAMS[name]
    server.claimed_entries = COUNT  # as if all were there already
    job = server.add(FakeJob(COUNT))
    pages = make_pages(COUNT, failing=FAILING)
    for page in pages[:begun]:
        job.finish(page)
    job.play(pages[begun:], every=0.005)
    assert follow(fast, job, "auto") == pages


@pytest.mark.parametrize("via", ["sse", "poll"])
@pytest.mark.parametrize("fault", [faults.html(503), faults.cut(300), faults.drop, faults.rate_limited(2)])
def test_faults_of_get_lose_and_double_nothing(fault: faults.Fault, via: Via, fast: Client, server: FakeServer) -> None:
    server.streams.cut_after = 12
    job = server.add(FakeJob(COUNT))
    server.inject(fault, match=f"{job.id}?", times=6)
    job.play(make_pages(COUNT, failing=FAILING), every=0.01)
    assert follow(fast, job, via) == job.entries


def test_muddled_events_lose_and_double_nothing(fast: Client, server: FakeServer) -> None:
    server.streams = StreamFaults(shuffle=True, repeat=2, cut_after=15, from_start=True, lie=True)
    job = server.add(FakeJob(COUNT))
    job.play(make_pages(COUNT, failing=FAILING), every=0.005)
    pages = follow(fast, job)
    assert sorted(page["url"] for page in pages) == sorted(entry["url"] for entry in job.entries)


@pytest.mark.parametrize("via", ["sse", "poll"])
def test_pages_come_as_they_finish(via: Via, server: FakeServer) -> None:
    job = server.add(FakeJob(COUNT))
    with Client(server.url, server.key) as client:
        items = follow_pages(client, job.id, WatchOptions(via=via, interval=0.05))
        for page in make_pages(10):
            job.finish(page)
            assert json.loads(next(item for item in items if isinstance(item, bytes))) == page
        items.close()


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("via", ["sse", "poll"])
@pytest.mark.parametrize("shift", [None, COUNT - 1], ids=["in place", "shifted"])
def test_the_outcomes_of_a_retry_are_not_lost(
    via: Via, shift: int | None, counted: bool, fast: Client, server: FakeServer
) -> None:
    job = server.add(FakeJob(COUNT, counts_failed=counted))
    for page in make_pages(COUNT, failing=[3, 17]):
        job.finish(page)
    job.end()
    job.retry()

    def retried() -> None:
        job.replace(3, make_page(3), to=shift)
        index = next(index for index, entry in enumerate(job.entries) if "error" in entry)
        job.replace(index, make_failure(17, "again"), to=shift)
        job.end()

    threading.Timer(0.4, retried).start()
    pages = follow(fast, job, via)
    fresh = [page for page in pages if page.get("error") != "HTTP 500"]
    if counted:  # the engine: the errors that are still to be replaced can be told from others
        assert sorted(map(str, pages)) == sorted(map(str, job.entries))
    assert make_page(3) in fresh


def test_a_url_that_was_submitted_twice_comes_twice(fast: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(60))
    job.play([*make_pages(30), *make_pages(30)], every=0.005)
    pages = follow(fast, job)
    assert sorted(map(str, pages)) == sorted(map(str, job.entries))
