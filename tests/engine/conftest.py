from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_server import Engine
from page_server import Loop, Reader, Web
from site_server import Site


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for a file's tests. A test that kills or stops it starts one of its own (`data_dir`)."""
    with Engine.start(tmp_path_factory.mktemp("engine") / "data") as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture(scope="module")
def reader(loop: Loop) -> Iterator[Reader]:
    """Reads pages as an engine on loopback does, with one worker, without an engine around it."""
    running = Reader(loop)
    yield running
    running.close()


@pytest.fixture
def web(loop: Loop) -> Iterator[Web]:
    running = Web(loop)
    yield running
    running.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[str]]]:
    """DNS under the test's control: each look-up of a name takes its next address, the last one stays."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        addresses = known.get(host)
        if not addresses:
            return real(host, port, *more, **options)
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return real(address, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield known
