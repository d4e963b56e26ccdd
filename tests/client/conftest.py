from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from clocks import Fast, Skipping
from fake_jobs import FakeJob
from fake_server import FakeServer
from watching import COUNT

from reader_cli.client.api import Client


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def time() -> Skipping:
    return Skipping()


@pytest.fixture(params=[None, httpx.HTTPTransport], ids=["own", "httpx"])
def transport(request: pytest.FixtureRequest) -> httpx.BaseTransport | None:
    """Our own transport, which loopback servers are spoken to with, and the one for all others."""
    return request.param() if request.param else None


@pytest.fixture
def client(server: FakeServer, time: Skipping, transport: httpx.BaseTransport | None) -> Iterator[Client]:
    with Client(server.url, server.key, clock=time.clock, sleep=time.sleep, transport=transport) as client:
        yield client


@pytest.fixture
def fast(server: FakeServer) -> Iterator[Client]:
    """A client whose seconds last 50 ms."""
    clock = Fast(20)
    with Client(server.url, server.key, clock=clock.clock, sleep=clock.sleep, patience=2) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["uncounted", "counted"])
def job(request: pytest.FixtureRequest, server: FakeServer) -> FakeJob:
    return server.add(FakeJob(COUNT, counts_failed=request.param))
