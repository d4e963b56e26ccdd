"""Asks the server in the background; what comes of it is posted to the inbox and happens in the main thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from typing import TypeVar

from reader_cli.client.api import Client
from reader_cli.client.pages import iter_pages
from reader_cli.client.workspace import WorkspaceEvent, watch_workspace
from reader_cli.errors import ReaderError
from reader_cli.events import Notice
from reader_cli.output.jsonl import read_head

Post = Callable[[Callable[[], object]], None]

_T = TypeVar("_T")


class Feeds:
    """Threads that live as long as the process, or as what they read. Callbacks run where the inbox is run."""

    def __init__(self, client: Client, post: Post) -> None:
        self._client = client
        self._post = post

    def follow_workspace(self, event: Callable[[WorkspaceEvent], object], notice: Callable[[Notice], object]) -> None:
        """The workspace's stream, for ever. What ends it is raised in the main thread."""

        def run() -> None:
            for item in watch_workspace(self._client):
                if isinstance(item, Notice):
                    self._post(partial(notice, item))
                else:
                    self._post(partial(event, item))

        self._start(run, self._raise)

    def ask(
        self,
        request: Callable[[], _T],
        answered: Callable[[_T], object],
        failed: Callable[[ReaderError], object],
    ) -> None:
        """One request, whose answer or failure is handed on."""

        def run() -> None:
            self._post(partial(answered, request()))

        self._start(run, failed)

    def read_failures(
        self,
        job_id: str,
        most: int,
        found: Callable[[str, str], object],
        ended: Callable[[], object],
        failed: Callable[[ReaderError], object],
    ) -> Event:
        """The first `most` failed pages of the job, (URL, error) each, while they are found. Setting the event that is
        returned stops it."""
        stop = Event()

        def run() -> None:
            number = 0
            for page in iter_pages(self._client, job_id):
                head = read_head(bytes(page))
                if head.error is not None:
                    self._post(partial(found, head.url, head.error))
                    number += 1
                if stop.is_set() or number == most:
                    break
            self._post(ended)

        self._start(run, failed)
        return stop

    def _start(self, run: Callable[[], None], failed: Callable[[ReaderError], object]) -> None:
        def guarded() -> None:
            try:
                run()
            except ReaderError as error:
                self._post(partial(failed, error))
            except Exception as error:  # a bug is told, not swallowed by a thread
                self._post(partial(self._raise, error))

        Thread(target=guarded, daemon=True).start()

    @staticmethod
    def _raise(error: Exception) -> None:
        raise error
