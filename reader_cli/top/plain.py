"""`reader top` without a terminal: a line at each change, at most one every few seconds a job."""

from __future__ import annotations

from reader_cli.client.workspace import watch_workspace
from reader_cli.env import Env
from reader_cli.errors import ReaderError
from reader_cli.events import Notice
from reader_cli.output.progress import PLAIN_SECONDS
from reader_cli.output.text import count, harmless, moment
from reader_cli.session import Session
from reader_cli.top.board import Board, Row


def run_plain(session: Session, board: Board) -> None:
    """Writes lines to stdout until it is interrupted. Raises what ends the workspace's stream."""
    lines = _Lines(session.env)
    _ask(session, board)
    for row in board.active:
        lines.write(row)
    for item in watch_workspace(session.client):
        if isinstance(item, Notice):
            session.env.say(f"reader: {harmless(item.message)}")
            continue
        board.hear(item)
        _ask(session, board)
        if item.job_id in board.rows:
            lines.write(board.rows[item.job_id])


def _ask(session: Session, board: Board) -> None:
    while due := board.take_due():
        for job_id in due:
            try:
                job = session.client.get_job(job_id).job
            except ReaderError as error:
                board.fail(job_id, error)
                session.env.say(f"reader: {harmless(error.message)}")
            else:
                session.remember(job)
                board.learn(job)


class _Lines:
    """Remembers what was written last of each job, and when."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._written: dict[str, tuple[float, str]] = {}

    def write(self, row: Row) -> None:
        when, status = self._written.get(row.id, (float("-inf"), ""))
        now = self._env.clock()
        if row.status == status and (row.ended or now - when < PLAIN_SECONDS):
            return
        self._written[row.id] = (now, row.status)
        failed = f", {row.failed:,} failed" if row.failed else ""
        counts = f"{row.completed:,}/{row.total:,}{failed}, {count(row.credits_used, 'credit')}"
        line = f"{moment(self._env.now())} {harmless(row.id)} {harmless(row.status)} {counts}\n"
        self._env.stdout.write(line.encode())
        self._env.stdout.flush()
