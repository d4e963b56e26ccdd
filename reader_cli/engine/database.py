"""The engine's SQLite file: one writer, a few readers, none of them on the event loop's thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
VERSION = 1

# A job's `request` is the validated request as JSON. `seq` numbers its outcomes: an entry carries the number of its
# latest one, so that "what happened since" is an index range even after a retry. `rev` numbers changes over all jobs.
# An item is one URL to read, `trusted` to lead to a private address; its `position` is its entry's place in the
# results, once it has one.
SCHEMA = """
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, mode TEXT NOT NULL, status TEXT NOT NULL, run INTEGER NOT NULL,
  request BLOB NOT NULL, total INTEGER NOT NULL,
  completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  credits INTEGER NOT NULL DEFAULT 0, entries INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL DEFAULT 0,
  rev INTEGER NOT NULL, error TEXT, created_at TEXT NOT NULL, started_at TEXT, completed_at TEXT
);
CREATE UNIQUE INDEX jobs_rev ON jobs (rev);
CREATE INDEX jobs_status ON jobs (status);
CREATE TABLE items (
  job INTEGER NOT NULL, n INTEGER NOT NULL, url TEXT NOT NULL, depth INTEGER NOT NULL, trusted INTEGER NOT NULL,
  state TEXT NOT NULL, position INTEGER, identity TEXT, PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE TABLE results (
  job INTEGER NOT NULL, position INTEGER NOT NULL, seq INTEGER NOT NULL, failed INTEGER NOT NULL, page BLOB NOT NULL
);
CREATE UNIQUE INDEX results_position ON results (job, position);
CREATE UNIQUE INDEX results_seq ON results (job, seq);
CREATE TABLE usage (
  key INTEGER PRIMARY KEY, url TEXT NOT NULL, duration INTEGER NOT NULL, failed INTEGER NOT NULL,
  cached INTEGER NOT NULL, proxy_mode TEXT NOT NULL, credits INTEGER NOT NULL, error TEXT, created_at TEXT NOT NULL
);
CREATE INDEX usage_created ON usage (created_at);
CREATE TABLE answers (
  key TEXT PRIMARY KEY, status INTEGER NOT NULL, created_at TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
"""


class Database:
    """Runs functions that take a connection: `write` in one transaction each, in order; `read` beside it.

    Committed work outlives kill -9 of the process; a power cut may take the last moments (synchronous=NORMAL).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._writer = ThreadPoolExecutor(1, "database-writer")
        self._readers = ThreadPoolExecutor(READERS, "database-reader")

    async def open(self) -> None:
        """Creates the tables of a new file. Raises SystemExit for a file that a later version wrote."""
        await self.write(_prepare)

    async def write(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """When the caller is cancelled, the work may still happen: it must check what it changes."""
        call = partial(self._transaction, work, *args, **kw)
        return await asyncio.get_running_loop().run_in_executor(self._writer, call)

    async def read(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kw: P.kwargs) -> T:
        call = partial(self._snapshot, work, *args, **kw)
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    def close(self) -> None:
        for pool in (self._readers, self._writer):
            pool.shutdown(wait=True, cancel_futures=True)

    def _transaction(self, work: Callable[..., T], *args: Any, **kw: Any) -> T:
        return self._within("BEGIN IMMEDIATE", work, *args, **kw)

    def _snapshot(self, work: Callable[..., T], *args: Any, **kw: Any) -> T:
        return self._within("BEGIN", work, *args, **kw)

    def _within(self, begin: str, work: Callable[..., T], *args: Any, **kw: Any) -> T:
        connection = self._connection()
        connection.execute(begin)
        try:
            result = work(connection, *args, **kw)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return result

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = _connect(self._path)
        connection: sqlite3.Connection = self._local.connection
        return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def _prepare(db: sqlite3.Connection) -> None:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise SystemExit(f"the data folder was written by a later version (schema {found}, this one knows {VERSION})")
    if found == 0:
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
