"""The engine's data folder: one engine at a time, its key and port, and the state file that clients find it by."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, TypedDict

GOING_SECONDS = 10.0  # the longest that an engine takes to end


class EngineState(TypedDict):
    """`engine.json`, there while the engine listens."""

    pid: int
    url: str
    key: str
    version: str
    startedAt: str
    dataDir: str


class Occupied(Exception):
    """Another engine works in this folder."""


class Home:
    """Holds the folder's lock from creation on, and with it the right to write there. Raises Occupied.

    The lock ends with the process, however it dies; nothing that the process starts inherits it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._lock = os.open(self.folder / "engine.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._wait_for_lock()
        self._state.unlink(missing_ok=True)

    def key(self) -> str:
        """The folder's own key, made at the first start."""
        kept = self._kept()
        if "key" not in kept:
            kept["key"] = "rdr_local_" + secrets.token_urlsafe(24)
            _write(self._identity, kept)
        return str(kept["key"])

    def last_port(self) -> int:
        """0 before the first start."""
        return int(self._kept().get("port", 0))

    def announce(self, state: EngineState, port: int) -> None:
        _write(self._identity, self._kept() | {"port": port})
        _write(self._state, state)

    def leave(self) -> None:
        """First of all when the engine ends: nobody shall come any more."""
        self._state.unlink(missing_ok=True)

    def _wait_for_lock(self) -> None:
        """An engine without a state file is just coming or going; one that goes is waited for."""
        deadline = time.monotonic() + GOING_SECONDS
        while not _try_lock(self._lock):
            if self._state.exists() or time.monotonic() > deadline:
                os.close(self._lock)
                raise Occupied(f"another engine is working in {self.folder}")
            time.sleep(0.05)

    @property
    def _state(self) -> Path:
        return self.folder / "engine.json"

    @property
    def _identity(self) -> Path:
        return self.folder / "identity.json"

    def _kept(self) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = json.loads(self._identity.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return kept


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, value: Any) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file)
    part.replace(path)
