"""Reading results: every page once, in order, as it was sent, whatever the server does."""

from __future__ import annotations

import itertools
import json

import fake_faults as faults
import pytest
from clocks import Skipping
from fake_jobs import FakeJob, make_page, make_pages
from fake_server import Exchange, FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from reader_cli.client.api import Client
from reader_cli.client.pages import iter_pages
from reader_cli.errors import ApiError, Unreachable
from reader_cli.models import Page


def ended_job(server: FakeServer, pages: list[Page]) -> FakeJob:
    job = server.add(FakeJob(len(pages)))
    for page in pages:
        job.finish(page)
    job.end()
    return job


def read(client: Client, job: FakeJob, **window: int) -> list[Page]:
    return [json.loads(line) for line in iter_pages(client, job.id, **window)]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 450])
def test_all_pages_come_in_order(count: int, client: Client, server: FakeServer) -> None:
    job = ended_job(server, make_pages(count, failing=[3]))
    assert read(client, job) == job.entries


def test_a_window_of_the_results(client: Client, server: FakeServer) -> None:
    job = ended_job(server, make_pages(300))
    assert read(client, job, skip=120, limit=130) == job.entries[120:250]
    assert read(client, job, skip=290, limit=130) == job.entries[290:]
    assert read(client, job, skip=400) == []
    assert read(client, job, limit=0) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 200))
def test_a_server_may_answer_with_fewer_pages_than_asked_for(caps: list[int], count: int) -> None:
    with FakeServer() as server, Client(server.url, server.key) as client:
        job = ended_job(server, make_pages(count))
        server.cap = itertools.cycle(caps)
        assert read(client, job) == job.entries


def test_totals_are_not_believed(client: Client, server: FakeServer) -> None:
    job = ended_job(server, make_pages(150))
    for lie in (0, 20, 10_000):
        server.claimed_entries = lie
        assert read(client, job) == job.entries


def test_a_running_job_has_the_pages_that_it_has(client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(100))
    for page in make_pages(45):
        job.finish(page)
    server.claimed_entries, server.always_more = 100, True
    assert read(client, job) == job.entries


FAULTS = {
    "drop": faults.drop,
    "cut": faults.cut(3000),
    "html": faults.html(),
    "junk": faults.reply(200, b"{}"),
    "limited": faults.rate_limited(5),
    "trouble": faults.refuse(500, "internal_error"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_lose_and_double_nothing(name: str, client: Client, server: FakeServer) -> None:
    job = ended_job(server, make_pages(700, failing=[5, 500]))
    for skip in ("skip=0&", "skip=10&", "skip=110&", "skip=310&", "skip=610&"):
        server.inject(FAULTS[name], match=skip, times=2)
    assert read(client, job) == job.entries


def test_a_cut_at_any_byte_is_noticed(server: FakeServer, time: Skipping) -> None:
    job = ended_job(server, make_pages(2))
    with Client(server.url, server.key, clock=time.clock, sleep=time.sleep) as client:
        for size in range(0, 900, 7):
            server.inject(faults.cut(size))
            assert read(client, job) == job.entries


def test_a_storm_of_429_is_waited_out(client: Client, server: FakeServer, time: Skipping) -> None:
    job = ended_job(server, make_pages(30))
    server.inject(faults.rate_limited(20), times=12)
    assert read(client, job) == job.entries
    assert sum(time.slept) >= 240


def test_a_server_that_stays_away_is_an_error_after_the_pages_that_came(
    client: Client, server: FakeServer, time: Skipping
) -> None:
    job = ended_job(server, make_pages(30))
    server.inject(faults.html(), match="skip=10&", times=1000)
    lines = iter_pages(client, job.id)
    assert len(list(itertools.islice(lines, 10))) == 10
    with pytest.raises(Unreachable):
        next(lines)
    assert sum(time.slept) > 60


def test_a_refusal_is_told(client: Client, server: FakeServer) -> None:
    with pytest.raises(ApiError):
        list(iter_pages(client, "job_unknown"))


@pytest.mark.parametrize("retried_at", [12, 150, 390])
def test_results_that_shift_while_they_are_read(retried_at: int, client: Client, server: FakeServer) -> None:
    pages = make_pages(400, failing=[5, 130, 300])
    job = ended_job(server, pages)
    lines = iter_pages(client, job.id)
    told = list(itertools.islice(lines, retried_at))
    job.retry()
    for number in (5, 130, 300):  # the engine keeps their places, others may not
        job.replace(next(i for i, entry in enumerate(job.entries) if "error" in entry), make_page(number), to=399)
    job.end()
    told += lines
    assert sorted(json.loads(line)["url"] for line in told) == sorted(page["url"] for page in pages)


def test_odd_pages_come_through(client: Client, server: FakeServer) -> None:
    job = ended_job(server, [make_page(0), make_page(1)])

    def odd(exchange: Exchange) -> None:
        page = b'{"url": "u", "n": 123456789012345678901234567890,\n "nan": NaN, "s": "\\ud800 \xe2\x80\xa8 \x1b[2J"}'
        deep = b'{"url": "v", "extracted": ' + b"[" * 3000 + b"]" * 3000 + b"}"
        body = exchange.answer().partition(b"\r\n\r\n")[2]
        envelope = json.loads(body)
        start, _, end = json.dumps({**envelope, "data": {**envelope["data"], "results": ["HERE"]}}).partition('"HERE"')
        exchange.send(exchange.build(200, start.encode() + page + b", " + deep + end.encode(), {}))

    server.inject(odd)
    first, second = iter_pages(client, job.id)
    assert first == b'{"url":"u","n":123456789012345678901234567890,"nan":null,"s":"\\ud800 \\u2028 \\u001b[2J"}'
    assert second.startswith(b'{"url":"v","extracted":[[[[')


def test_reading_ahead_is_bounded_by_bytes(client: Client, server: FakeServer) -> None:
    job = ended_job(server, [make_page(number, size=1 << 20) for number in range(60)])
    lines = iter_pages(client, job.id)
    for _ in range(12):
        next(lines)
    asked = sum(request.number("limit", 0) for request in server.requests)
    assert asked <= 10 + 24, "more than 24 MiB ahead"
    assert len(list(lines)) == 48


def test_leaving_early_asks_for_no_more(client: Client, server: FakeServer) -> None:
    job = ended_job(server, make_pages(5000))
    lines = iter_pages(client, job.id)
    next(lines)
    lines.close()
    assert len(server.requests) <= 2
