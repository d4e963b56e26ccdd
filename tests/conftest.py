from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_server import FakeServer
from invoking import User
from running import kill_engine, new_environ


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user on a fresh machine. A background engine that is started in it ends with the test."""
    environ = new_environ(tmp_path)
    yield environ
    kill_engine(environ)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def user(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> User:
    return User(tmp_path, server, monkeypatch)
