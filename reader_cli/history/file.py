"""The history's SQLite file: made private, opened by many processes at once, and done without where it is broken."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from reader_cli.errors import UsageError

_VERSION = 1
_BUSY_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE runs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of submission; never used again, for it is the run's byte in the lock
  id TEXT NOT NULL UNIQUE,
  server TEXT NOT NULL,
  name TEXT,
  mode TEXT NOT NULL,
  body TEXT NOT NULL,
  had_secret INTEGER NOT NULL,
  submitted REAL NOT NULL
);
CREATE TABLE parts (
  run INTEGER NOT NULL REFERENCES runs (seq),
  number INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'planned',
  key TEXT NOT NULL,
  sent REAL,
  urls INTEGER NOT NULL,
  first_url TEXT NOT NULL,
  job_id TEXT,
  status TEXT,
  completed INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  failed INTEGER,
  credits_used INTEGER NOT NULL DEFAULT 0,
  created_at TEXT,
  inputs BLOB NOT NULL,  -- last: a listing never reads the pages it lies on
  PRIMARY KEY (run, number)
);
CREATE INDEX parts_by_job ON parts (job_id);
CREATE INDEX runs_by_server ON runs (server);
"""


class HistoryFile:
    """A connection, and why it is not to the real file (`warning`). `lasting`: it is, and it can be written."""

    def __init__(self, db: sqlite3.Connection, path: Path, *, warning: str | None = None, lasting: bool = True) -> None:
        self._db = db
        self._path = path
        self.warning = warning
        self.lasting = lasting

    def close(self) -> None:
        self._db.close()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows; none, and a warning, where the file turns out to be broken."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self.warning = _told(self._path, error)
            return []

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One short transaction. Raises UsageError where it cannot be written, and then nothing of it was."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:  # a server's number may be any
            with suppress(sqlite3.Error):  # a COMMIT that failed for a full disk left it open
                self._db.execute("ROLLBACK")
            raise UsageError(f"the history {self._path} cannot be written: {error}") from None

    @contextmanager
    def locked(self, number: int) -> Iterator[bool]:
        """Holds one byte of a lock file; the kernel lets go of it when the process dies. Yields whether it is ours."""
        if not self.lasting:
            yield True
            return
        _make_private(lock_path := self._path.with_suffix(".lock"))
        with lock_path.open("r+b") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                yield False
            else:
                yield True

    def shrink(self) -> None:
        """Gives back, and so really erases, what deleted rows left in the file; not while others are reading it."""
        with suppress(sqlite3.Error):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def open_history(path: Path) -> HistoryFile:
    """The file at `path`, or a copy in memory of what can be read of it, be it nothing."""
    try:
        return HistoryFile(_open_private(path), path)
    except (sqlite3.Error, OSError) as error:
        return HistoryFile(_copy_in_memory(path), path, warning=_told(path, error), lasting=False)


def _told(path: Path, error: Exception) -> str:
    return f"the history {path} cannot be used: {getattr(error, 'strerror', None) or error}"


def _open_private(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_private(path)  # before SQLite makes it, with the umask's mode; what it puts beside it has the same
    db = _connect(str(path))
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA secure_delete = ON")
        _upgrade(db)
    except BaseException:
        db.close()
        raise
    return db


def _make_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _copy_in_memory(path: Path) -> sqlite3.Connection:
    """`immutable`, since WAL needs a writable folder even for reading."""
    memory = _connect(":memory:")
    with suppress(sqlite3.Error, OSError), closing(_connect(f"{path.absolute().as_uri()}?immutable=1")) as file:
        _check_version(file)
        file.backup(memory)
        memory.execute("SELECT count(*) FROM runs, parts LIMIT 1")
        return memory
    memory = _connect(":memory:")
    memory.executescript(_SCHEMA)
    return memory


def _connect(target: str) -> sqlite3.Connection:
    """`synchronous` stays FULL: a key that a power cut takes back is a key that cannot be repeated."""
    return sqlite3.connect(target, timeout=_BUSY_SECONDS, isolation_level=None, uri=target.startswith("file:"))


def _check_version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise sqlite3.DatabaseError("a newer reader wrote it")
    return version


def _upgrade(db: sqlite3.Connection) -> None:
    if _check_version(db) == _VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    if _check_version(db) == 0:  # still: another process may have been first
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("COMMIT")
