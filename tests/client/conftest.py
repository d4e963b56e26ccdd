from __future__ import annotations

from collections.abc import Iterator

import pytest
from clocks import Skipping
from fake_server import FakeServer

from reader_cli.client.api import Client


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def time() -> Skipping:
    return Skipping()


@pytest.fixture
def client(server: FakeServer, time: Skipping) -> Iterator[Client]:
    with Client(server.url, server.key, clock=time.clock, sleep=time.sleep) as client:
        yield client
