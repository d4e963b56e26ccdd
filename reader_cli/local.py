"""Finds the background engine or starts it. Light: it never imports engine/, it runs it.

The engine writes `engine.json` into its data folder when its port listens, and takes it away at a clean exit. A file
that outlived its engine (kill -9) is told by its process being gone or its port not answering.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from reader_cli.env import Env, engine_dir
from reader_cli.errors import ConfigError, Unreachable

START_SECONDS = 30.0
STOP_SECONDS = 12.0
IDLE_SECONDS = 900
NOT_INSTALLED = (
    "nothing is configured and the local engine is not installed",
    "pip install 'reader-cli[local]'   for the local engine, or\n"
    "export READER_API_KEY=…           for the hosted service",
)


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine, as its `engine.json` tells."""

    pid: int
    url: str
    key: str
    version: str
    started_at: str
    data_dir: str


def find_engine(folder: Path | None = None) -> Engine | None:
    """The engine that serves `folder` (default: the background engine's), or None when none runs."""
    try:
        stored = json.loads(((folder or engine_dir()) / "engine.json").read_bytes())
        engine = Engine(
            int(stored["pid"]),
            str(stored["url"]),
            str(stored["key"]),
            str(stored["version"]),
            str(stored["startedAt"]),
            str(stored["dataDir"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return engine if _is_process(engine.pid) and _listens(engine.url) else None


def ensure_engine(env: Env) -> tuple[Engine, bool]:
    """The background engine, and whether it had to be started for this.

    Two commands that start at once get the same one. Raises ConfigError where the engine isn't installed,
    Unreachable where it doesn't come up.
    """
    engine = find_engine()
    if engine:
        return engine, False
    if not is_installed():
        raise ConfigError(NOT_INSTALLED[0], hint=NOT_INSTALLED[1])
    folder = engine_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _exclusive(folder / "start.lock"):
        engine = find_engine()  # another command may have started it while this one waited for the lock
        return (engine, False) if engine else (_start(env, folder), True)


def is_installed() -> bool:
    return all(find_spec(name) for name in ("dbos", "starlette", "uvicorn", "aiohttp", "trafilatura"))


def stop_engine(env: Env, engine: Engine) -> bool:
    """Asks the engine to end (SIGTERM) and waits until it has. False when it is still there after 12 s."""
    try:
        os.kill(engine.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    deadline = env.clock() + STOP_SECONDS
    while _is_process(engine.pid) and env.clock() < deadline:
        env.sleep(0.02)
    return not _is_process(engine.pid)


def log_file() -> Path:
    return engine_dir() / "engine.log"


def _start(env: Env, folder: Path) -> Engine:
    command = [sys.executable, "-m", "reader_cli.engine", "--data-dir", str(folder)]
    command += ["--background", "--idle-timeout", str(IDLE_SECONDS)]
    # `-P` keeps a reader_cli/ in the current folder from being run in the installed one's place.
    command.insert(1, "-P")
    with (folder / "start.err").open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True, cwd="/"
        )
    deadline = env.clock() + START_SECONDS
    while env.clock() < deadline:
        engine = find_engine(folder)
        if engine:
            return engine
        if process.poll() is not None:
            break
        env.sleep(0.02)
    raise Unreachable(f"the local engine did not start: {_last_words(folder)}", hint="reader local logs")


def _last_words(folder: Path) -> str:
    for name in ("start.err", "engine.log"):
        try:
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            continue
        if lines:
            return lines[-1]
    return "it said nothing"


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Holds an advisory lock; the system lets go of it when this process ends, however it ends."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A dead engine whose starter is still running, not having waited for it, is dead all the same."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), timeout=2):
            return True
    except OSError:
        return False
