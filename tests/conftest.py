from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running import kill_engine, new_environ


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user on a fresh machine. A background engine that is started in it ends with the test."""
    environ = new_environ(tmp_path)
    yield environ
    kill_engine(environ)
