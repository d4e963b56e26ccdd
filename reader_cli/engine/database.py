"""A SQLite file of the engine: one writer, a few readers, none of them on the event loop's thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
GIVEN_BACK = 10_000  # pages of the file at a time


class Unusable(Exception):
    """The file cannot be worked with. Says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Schema:
    """`sql` makes the tables of `version`, in statements whose last lines end with semicolons (a trigger's inner ones
    stand within lines); `upgrades` make version 2 out of 1, and so on."""

    sql: str
    upgrades: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        return 1 + len(self.upgrades)


class Database:
    """Runs functions that take a connection: `write` in one transaction each, in order; `read` beside it.

    Committed work outlives kill -9 of the process; a power cut may take the last moments (synchronous=NORMAL).
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path = path
        self._schema = schema
        self._local = threading.local()
        self._writer = ThreadPoolExecutor(1, "database-writer")
        self._readers = ThreadPoolExecutor(READERS, "database-reader")

    async def open(self) -> None:
        """Creates the tables of a new file, and upgrades those of an older one, all or nothing.

        Raises Unusable for a file that a later version wrote, or that is damaged.
        """
        try:
            await self.write(_prepare, self._schema)
        except sqlite3.DatabaseError as error:
            raise Unusable(_told(self._path.name, error)) from error

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
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have ended it already
                connection.execute("ROLLBACK")
            raise
        return result

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = _connect(self._path)
        connection: sqlite3.Connection = self._local.connection
        return connection


def used_bytes(db: sqlite3.Connection) -> int:
    """What is stored: the file without the space that is free in it."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def give_back(db: sqlite3.Connection) -> None:
    """Shortens the file by some of the space that is free in it."""
    db.execute(f"PRAGMA incremental_vacuum({GIVEN_BACK})").fetchall()


def remove(path: Path) -> None:
    """The file, and what SQLite keeps beside it."""
    for file in path.parent.glob(path.name + "*"):
        file.unlink()


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """And not a disk that is full, or a file that may not be opened."""
    return not isinstance(error, sqlite3.OperationalError)


def _told(name: str, error: sqlite3.DatabaseError) -> str:
    return (
        f"{name} is damaged ({error}); move it away, and the jobs with it" if is_damage(error) else f"{name}: {error}"
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file, and before the next line makes one of it
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def _prepare(db: sqlite3.Connection, schema: Schema) -> None:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > schema.version:
        told = f"a later version of reader wrote it (schema {found}; this one knows {schema.version})"
        raise Unusable(f"{told}; update reader-cli")
    for sql in schema.upgrades[found - 1 :] if found else (schema.sql,):
        for statement in sql.split(";\n"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {schema.version}")
