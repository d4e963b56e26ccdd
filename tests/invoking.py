"""Running a command inside this process, with a clock that sleeping moves: refusals are retried without waiting."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fake_server import FakeServer
from running import Finished, new_environ

from reader_cli.__main__ import main
from reader_cli.env import Env


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class User:
    """Somebody on a machine of their own who uses `server`; `clock` is what their commands believe."""

    def __init__(self, home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.environ = new_environ(home, READER_API_URL=server.url, READER_API_KEY=server.key)
        self.clock = Clock()
        for name, value in self.environ.items():  # platformdirs looks nowhere else
            monkeypatch.setenv(name, value)

    def run(self, *argv: str, stdin: bytes = b"", terminal: bool = False) -> Finished:
        """`terminal`: stdout is one."""
        out, err = io.BytesIO(), io.StringIO()
        env = Env(
            stdin=io.BytesIO(stdin),
            stdout=out,
            stderr=err,
            environ=self.environ,
            stdout_tty=terminal,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        code = main(argv, env)
        return Finished(int(code), out.getvalue(), err.getvalue())
