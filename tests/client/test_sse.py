"""Event streams: any split of any bytes, and what happens on the connection."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import fake_faults as faults
import httpx
import pytest
from clocks import Skipping
from fake_jobs import FakeJob, make_page, make_pages
from fake_server import FakeServer
from hypothesis import given, settings
from hypothesis import strategies as st

from reader_cli.client.http import Http
from reader_cli.client.sse import Ended, EventStream, Message, Opened, Signal
from reader_cli.errors import ApiError

FIELDS = """data: {}|data:x|data|event: page|event: done|: ping|id: 7|id: \0|id: é|retry: 99999999|retry: x|nonsense
|data: \u2028\u0085 one line|data: ’|||\ufeffdata: x|data: a|data: b""".replace("\n", "").split("|")
lines = st.sampled_from(FIELDS)
endings = st.sampled_from(["\n", "\r\n", "\r"])
streams = st.lists(st.tuples(lines, endings), max_size=15).map(lambda parts: "".join(a + b for a, b in parts).encode())


def read_all(stream: EventStream) -> list[Signal]:
    signals: list[Signal] = []
    while not signals or not isinstance(signals[-1], Ended):
        signal = stream.get(10)
        assert signal is not None, "the stream neither tells nor ends"
        signals.append(signal)
    return signals


def receive(chunks: list[bytes]) -> tuple[list[Signal], EventStream]:
    class Pieces(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from chunks

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces())

    http = Http("http://fake.test", "k", transport=httpx.MockTransport(answer), revive=None, proxy=None, ca_bundle=None)
    with EventStream(http, "/stream") as stream:
        return read_all(stream), stream


@settings(max_examples=60, deadline=None)
@given(streams, st.lists(st.integers(0, 200), max_size=8))
def test_events_do_not_depend_on_how_the_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges) if b > a]
    whole, at_once = receive([data])
    split, in_pieces = receive(pieces)
    assert split == whole
    assert in_pieces.last_id == at_once.last_id
    assert in_pieces.retry is None or in_pieces.retry <= 15


def test_pings_after_an_id_are_no_events() -> None:
    signals, stream = receive([b'id: 1\nevent: page\ndata: {"a":\ndata: 1}\n\n: ping\n\n: ping\n\n'])
    assert signals == [Opened(), Message("page", '{"a":\n1}'), Ended()]
    assert stream.last_id == "1"


def test_an_event_that_was_cut_is_none() -> None:
    signals, _ = receive([b'event: page\ndata: {"url": "u"}\n\nevent: done\ndata: {"sta'])
    assert signals == [Opened(), Message("page", '{"url": "u"}'), Ended()]


@pytest.fixture
def http(server: FakeServer, transport: httpx.BaseTransport | None) -> Iterator[Http]:
    http = Http(server.url, server.key, transport=transport, revive=None, proxy=None, ca_bundle=None)
    yield http
    http.close()


@pytest.mark.parametrize(
    "fault",
    [faults.refuse(503, "x", headers={"content-type": "text/event-stream"}), faults.html(200), faults.reply(204)],
)
def test_what_is_no_stream_is_refused(fault: faults.Fault, http: Http, server: FakeServer) -> None:
    server.inject(fault)
    with EventStream(http, "/v1/events") as stream:
        (ended,) = read_all(stream)
    assert isinstance(ended, Ended) and ended.refused and ended.error


def test_a_401_is_told_as_what_it_is(http: Http, server: FakeServer) -> None:
    server.inject(faults.refuse(401, "unauthenticated"))
    with EventStream(http, "/v1/events") as stream:
        (ended,) = read_all(stream)
    assert isinstance(ended, Ended) and isinstance(ended.error, ApiError)


def test_a_lost_connection_ends_the_stream(http: Http, server: FakeServer) -> None:
    job = server.add(FakeJob(9))
    with EventStream(http, f"/v1/jobs/{job.id}/stream") as stream:
        assert isinstance(stream.get(10), Opened)
        server.drop_connections()
        assert isinstance(read_all(stream)[-1], Ended)


def test_the_last_id_is_sent_where_it_fits_into_a_header(http: Http, server: FakeServer, time: Skipping) -> None:
    for last_id in ("7", "", "é", "a b", "x" * 2000):
        server.inject(faults.reply(404))
        with EventStream(http, "/v1/events", last_id) as stream:
            read_all(stream)
    assert [request.headers.get("last-event-id") for request in server.requests] == ["7", None, None, None, None]


def test_a_slow_reader_slows_the_server_and_gets_everything(http: Http, server: FakeServer) -> None:
    job = server.add(FakeJob(40))
    server.streams.from_start = True
    for page in make_pages(40):
        job.finish({**page, "markdown": "x" * 200_000})
    job.end()
    with EventStream(http, f"/v1/jobs/{job.id}/stream") as stream:
        signals = read_all(stream)
    assert sum(isinstance(signal, Message) and signal.event == "page" for signal in signals) == 40


def test_closing_ends_the_connection_while_it_waits(http: Http, server: FakeServer) -> None:
    job = server.add(FakeJob(1))
    server.streams.ping = 0.05
    stream = EventStream(http, f"/v1/jobs/{job.id}/stream")
    assert isinstance(stream.get(10), Opened)
    stream.close()
    job.finish(make_page(0))
    assert server.gone.wait(10)
