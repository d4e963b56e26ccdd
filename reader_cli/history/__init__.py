"""What was submitted from here: runs, their jobs, and what went into each (SQLite in the state dir, the owner's alone).

A run is one submission; it is cut into *parts* of at most 1,000 URLs, and an accepted part is a job. A part moves
`planned` → `sent` → `accepted`; a definite refusal puts it back to `planned` under a fresh idempotency key. All of it
is written before the first POST, so that whatever kills the process, what is missing can be posted, and nothing twice.

Light on purpose (no HTTP, no engine): a TAB in the shell reads it. One thread at a time may use a `History`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reader_cli.errors import NotFoundLocally, NothingToDo, UsageError
from reader_cli.history.file import HistoryFile, open_history
from reader_cli.history.rows import Input, Part, PartState, Run
from reader_cli.models import Job, JobSummary, Mode

if TYPE_CHECKING:
    from reader_cli.events import Done

__all__ = ["History", "Part", "PartState", "Run"]

_COLUMNS = ", ".join("runs.id" if column == "run_id" else column for column in Part._fields)
_PARTS = f"SELECT {_COLUMNS} FROM parts JOIN runs ON runs.seq = parts.run"


class History:
    """`warning` says why this is not the real history, but a copy of what could be read that dies with the process."""

    def __init__(self, file: HistoryFile) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path) -> History:
        """Never fails, so that a broken history stops no command that can do without it: see `warning`."""
        return cls(open_history(path))

    @property
    def warning(self) -> str | None:
        return self._file.warning

    @property
    def lasting(self) -> bool:
        """Whether what is written here will be there for the next command."""
        return self._file.lasting

    def close(self) -> None:
        self._file.close()

    # Submitting. These raise UsageError where the history cannot be written: without it a submission is not safe.

    def new_run(
        self,
        server: str,
        name: str | None,
        body: dict[str, Any],
        parts: Sequence[Sequence[Input]],
        *,
        mode: Mode = Mode.BATCH,
        key: str | None = None,
        now: float,
    ) -> Run:
        """Writes down a whole run before any of it is sent. `key` is the user's own: `key-1`, `key-2`… for several."""
        run_id = f"run_{os.urandom(6).hex()}"
        public, had_secret = _without_secret(body)
        rows = [
            (number, _first_key(run_id, number, len(parts), key), len(part), part[0].url, _pack(part))
            for number, part in enumerate(parts, 1)
        ]
        with self._file.writing() as db:
            cursor = db.execute(
                "INSERT INTO runs (id, server, name, mode, body, had_secret, submitted) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run_id, server, name, mode, json.dumps(public), had_secret, now),
            )
            db.executemany(
                "INSERT INTO parts (run, number, key, urls, first_url, inputs) VALUES (?, ?, ?, ?, ?, ?)",
                [(cursor.lastrowid, *row) for row in rows],
            )
        return self.get_run(run_id)

    @contextmanager
    def claim(self, run_id: str) -> Iterator[None]:
        """Holds the run for this process, until it leaves or dies: two that post one run could double a part."""
        found = self._file.rows("SELECT seq FROM runs WHERE id = ?", (run_id,))
        if not found:
            raise _unknown(run_id)
        with self._file.locked(found[0][0]) as mine:
            if not mine:
                raise NothingToDo(f"run {run_id} is being submitted by another process right now")
            yield

    def mark_sent(self, part: Part, now: float) -> None:
        """To be called before each POST; the first time counts, for a key's 24 hours begin with it."""
        self._update(part, "state = 'sent', sent = coalesce(sent, ?)", now)

    def mark_planned(self, part: Part, key: str) -> None:
        """Puts a part back that surely was not accepted; `key` is for its next try."""
        self._update(part, "state = 'planned', sent = NULL, key = ?", key)

    def mark_accepted(self, part: Part, job: JobSummary) -> None:
        columns = (
            "state = 'accepted', job_id = ?, created_at = ?, status = ?, total = ?, completed = ?, credits_used = ?"
        )
        self._update(
            part,
            columns,
            job["id"],
            job.get("createdAt"),
            job.get("status"),
            job.get("total", part.urls),
            job.get("completed", 0),
            job.get("creditsUsed", 0),
        )

    def _update(self, part: Part, columns: str, *values: object) -> None:
        where = "number = ? AND run = (SELECT seq FROM runs WHERE id = ?)"
        with self._file.writing() as db:
            db.execute(f"UPDATE parts SET {columns} WHERE {where}", (*values, part.number, part.run_id))

    # Reading. A history that breaks now answers as if it were empty, and sets `warning`.

    def get_run(self, run_id: str) -> Run:
        """Raises NotFoundLocally."""
        rows = self._file.rows(
            "SELECT id, server, name, mode, body, had_secret, submitted FROM runs WHERE id = ?", (run_id,)
        )
        if not rows:
            raise _unknown(run_id)
        *head, body, had_secret, submitted = rows[0]
        parts = self._parts("runs.id = ? ORDER BY number", run_id)
        run_id, of, name, mode = head
        return Run(run_id, of, name, mode, json.loads(body), bool(had_secret), submitted, tuple(parts))

    def get_part(self, part: Part) -> Part:
        """As it stands now. Raises NotFoundLocally."""
        found = self._parts("runs.id = ? AND number = ?", part.run_id, part.number)
        if not found:
            raise _unknown(part.run_id)
        return found[0]

    def run_ids(self, server: str, name: str | None = None) -> list[str]:
        """Newest first; `name` may be the id of the run itself."""
        where, values = ("", []) if name is None else (" AND (name = ? OR id = ?)", [name, name])
        rows = self._file.rows(f"SELECT id FROM runs WHERE server = ?{where} ORDER BY seq DESC", [server, *values])
        return [run_id for (run_id,) in rows]

    def nth_submission(self, server: str, n: int) -> Run | None:
        """The `n`th newest run of which anything was sent, from 1: what was planned or refused only is none."""
        rows = self._file.rows(
            "SELECT id FROM runs WHERE server = ? AND EXISTS "
            "(SELECT 1 FROM parts WHERE run = seq AND state != 'planned') ORDER BY seq DESC LIMIT 1 OFFSET ?",
            (server, n - 1),
        )
        return self.get_run(rows[0][0]) if rows else None

    def jobs(
        self,
        server: str | None = None,
        *,
        statuses: Collection[str] = (),
        name: str | None = None,
        since: float = 0.0,
        limit: int = -1,
        unsent: bool = False,
    ) -> list[Part]:
        """Accepted parts, newest first, and with `unsent` the others, too. `since` is unix seconds, `name` a run's name
        or id, `limit` -1 for all."""
        marks = ", ".join("?" * len(statuses))
        where = "submitted >= ?"
        where += "" if unsent else " AND job_id IS NOT NULL"
        where += " AND server = ?" if server is not None else ""
        where += " AND (name = ? OR runs.id = ?)" if name is not None else ""
        where += f" AND status IN ({marks})" if statuses else ""
        values = [
            since,
            *([server] if server is not None else []),
            *([name, name] if name is not None else []),
            *statuses,
        ]
        return self._parts(f"{where} ORDER BY seq DESC, number DESC LIMIT ?", *values, limit)

    def find_job(self, server: str, job_id: str) -> Part | None:
        found = self._parts("server = ? AND job_id = ? ORDER BY seq DESC LIMIT 1", server, job_id)
        return found[0] if found else None

    def job_ids_starting(self, server: str, prefix: str, limit: int = 10) -> list[str]:
        where = "server = ? AND substr(job_id, 1, ?) = ? ORDER BY seq DESC, number DESC LIMIT ?"
        return [part.job_id for part in self._parts(where, server, len(prefix), prefix, limit) if part.job_id]

    def input_records(self, server: str, job_id: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """The URLs of a job with their records, in input order; nothing for a job that was not submitted from here."""
        return self._inputs("server = ? AND job_id = ? ORDER BY seq DESC LIMIT 1", server, job_id)

    def part_inputs(self, part: Part) -> Iterator[tuple[str, dict[str, Any] | None]]:
        return self._inputs("runs.id = ? AND number = ?", part.run_id, part.number)

    def _inputs(self, where: str, *values: object) -> Iterator[tuple[str, dict[str, Any] | None]]:
        for (packed,) in self._file.rows(f"SELECT inputs FROM parts JOIN runs ON seq = run WHERE {where}", values):
            yield from map(tuple, json.loads(zlib.decompress(packed)))

    def _parts(self, where: str, *values: object) -> list[Part]:
        return [Part(*row) for row in self._file.rows(f"{_PARTS} WHERE {where}", values)]

    # Keeping it up to date (which may fail without harm), and forgetting (UsageError where it cannot be written).

    def update_state(self, server: str, job: Job) -> None:
        """Remembers a job as a GET told it, where it is known here and the history can be written."""
        counts = (job.get("completed"), job.get("total"), job.get("failed"), job.get("creditsUsed"))
        self._remember(server, [(job.get("status"), *counts, job["id"])])

    def update_states(self, server: str, ended: Iterable[Done]) -> None:
        self._remember(
            server,
            [(done.status, done.completed, done.total, done.failed, done.credits_used, done.job_id) for done in ended],
        )

    def _remember(self, server: str, seen: list[tuple[object, ...]]) -> None:
        columns = ("status", "completed", "total", "failed", "credits_used")
        assignments = ", ".join(f"{column} = coalesce(?, {column})" for column in columns)
        where = "job_id = ? AND run IN (SELECT seq FROM runs WHERE server = ?)"
        with suppress(UsageError), self._file.writing() as db:
            db.executemany(f"UPDATE parts SET {assignments} WHERE {where}", [(*row, server) for row in seen])

    def forget(self, server: str, job_ids: Iterable[str]) -> int:
        """Erases jobs, with their URLs and records, and the runs that are empty then; returns how many jobs."""
        where = "job_id = ? AND run IN (SELECT seq FROM runs WHERE server = ?)"
        return self._erase(where, [(job_id, server) for job_id in job_ids])

    def forget_run(self, run_id: str) -> int:
        """Erases a run whole, what was not submitted of it included; returns how many parts."""
        return self._erase("run = (SELECT seq FROM runs WHERE id = ?)", [(run_id,)])

    def _erase(self, where: str, values: list[tuple[str, ...]]) -> int:
        with self._file.writing() as db:
            gone = db.executemany(f"DELETE FROM parts WHERE {where}", values).rowcount
            db.execute("DELETE FROM runs WHERE seq NOT IN (SELECT run FROM parts)")
        self._file.shrink()
        return gone


def _unknown(run_id: str) -> NotFoundLocally:
    return NotFoundLocally(f"the history knows no run {run_id}", hint="reader jobs")


def _without_secret(body: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The rule that a webhook's secret is never stored (cli: law 6)."""
    webhook = body.get("webhook")
    if not isinstance(webhook, dict) or "secret" not in webhook:
        return body, False
    return {**body, "webhook": {name: value for name, value in webhook.items() if name != "secret"}}, True


def _first_key(run_id: str, number: int, of: int, own: str | None) -> str:
    if own is None:
        return f"{run_id}-{number}"
    return own if of == 1 else f"{own}-{number}"


def _pack(part: Sequence[Input]) -> bytes:
    return zlib.compress(json.dumps([(item.url, item.record) for item in part], separators=(",", ":")).encode(), 1)
