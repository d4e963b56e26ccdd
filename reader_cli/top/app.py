"""The loop of `reader top`: draw, wait for a key or for news, do what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

from reader_cli.env import Env
from reader_cli.errors import ReaderError
from reader_cli.events import Notice
from reader_cli.models import Job
from reader_cli.output.text import count
from reader_cli.session import Session
from reader_cli.top.board import Board
from reader_cli.top.drawing import Surroundings, draw
from reader_cli.top.feeds import Feeds
from reader_cli.top.terminal import Inbox, Terminal
from reader_cli.top.view import FAILURES, Action, Detail, Verb, View

ACCOUNT_SECONDS = 60.0  # between two looks at credits and queue
AFTER_AN_END = 3.0  # seconds from the end of a job to the next look
TICK = 1.0  # seconds; rates change without any news


def run_screen(session: Session, board: Board) -> None:
    """Shows the board until the user quits. Raises what ends the workspace's stream."""
    inbox = Inbox()
    try:
        app = _App(session, board, inbox)
        with Terminal(session.env, inbox) as terminal:
            app.run(terminal)
    finally:
        inbox.close()


class _App:
    def __init__(self, session: Session, board: Board, inbox: Inbox) -> None:
        self._session = session
        self._client = session.client
        self._env: Env = session.env
        self._board = board
        self._view = View(board)
        self._inbox = inbox
        self._feeds = Feeds(session.client, inbox.post)
        self._around = Surroundings(session.settings.base_url, "connecting …", {}, {})
        self._account_at = self._env.clock()
        self._reading: Event | None = None
        self._over = False

    def run(self, terminal: Terminal) -> None:
        self._env.quiet = True  # the screen is taken: what a request has to say is not said over it
        self._feeds.follow_workspace(self._board.hear, self._notice)
        while not self._over:
            self._inbox.run()
            self._ask_what_is_due()
            terminal.draw(draw(self._view, self._around, *terminal.measure()))
            keys = terminal.wait(TICK)
            if keys is None:
                return
            for key in keys:
                if action := self._view.press(key):
                    self._do(action)

    def _do(self, action: Action) -> None:
        job_id = action.job_id
        match action.verb:
            case Verb.QUIT:
                self._over = True
            case Verb.OPEN if self._view.detail:
                self._open(job_id, self._view.detail)
            case Verb.CLOSE:
                self._stop_reading()
            case Verb.CANCEL:
                self._feeds.ask(partial(self._client.cancel, job_id), partial(self._cancelled, job_id), self._tell)
            case Verb.RETRY:
                self._feeds.ask(partial(self._client.retry, job_id), partial(self._retried, job_id), self._tell)

    def _ask_what_is_due(self) -> None:
        for job_id in self._board.take_due():
            self._feeds.ask(partial(self._get_job, job_id), self._learn, partial(self._not_learned, job_id))
        if self._env.clock() >= self._account_at:
            self._account_at = self._env.clock() + ACCOUNT_SECONDS
            self._feeds.ask(self._get_account, self._account, self._tell)

    def _get_job(self, job_id: str) -> Job:
        return self._client.get_job(job_id).job

    def _get_account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._client.credits(), self._client.queue()

    # What follows from answers and failures; all of it in this thread.

    def _learn(self, job: Job) -> None:
        self._session.remember(job)
        if self._board.learn(job):
            self._account_at = min(self._account_at, self._env.clock() + AFTER_AN_END)

    def _not_learned(self, job_id: str, error: ReaderError) -> None:
        self._board.fail(job_id, error)
        self._tell(error)

    def _account(self, answers: tuple[dict[str, Any], dict[str, Any]]) -> None:
        credits, queue = answers
        self._around = replace(self._around, credits=credits, queue=queue)

    def _notice(self, notice: Notice) -> None:
        self._around = replace(self._around, link="live" if notice.code == "connected" else "reconnecting …")

    def _cancelled(self, job_id: str, _answer: object) -> None:
        self._view.told = f"{job_id} is cancelled; finished pages stay readable"
        self._board.ask_later(job_id, 0.0)

    def _retried(self, job_id: str, answer: Mapping[str, Any]) -> None:
        pages = answer.get("retrying")
        self._view.told = f"{job_id} reads {count(pages, 'page') if isinstance(pages, int) else 'what failed'} again"
        self._board.queue_again(job_id)

    def _tell(self, error: ReaderError) -> None:
        self._view.told = error.message

    def _open(self, job_id: str, detail: Detail) -> None:
        """Its results are read, however long they are, only while there is a failed page to find in them."""
        self._stop_reading()
        self._board.ask_later(job_id, 0.0)
        failed = self._board.rows[job_id].failed
        if failed == 0:
            detail.complete = True
            return
        self._reading = self._feeds.read_failures(
            job_id,
            min(failed or FAILURES, FAILURES),
            found=lambda url, error: detail.failures.append((url, error)),
            ended=lambda: setattr(detail, "complete", True),
            failed=self._tell,
        )

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading.set()
