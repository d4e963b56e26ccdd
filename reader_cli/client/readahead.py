"""Reading a job's results ahead of who consumes them, in bounded memory (cli: results)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import msgspec

from reader_cli.client.api import Client
from reader_cli.client.background import in_background
from reader_cli.client.slices import Slice, read_slice
from reader_cli.models import MAX_LIMIT

AHEAD = 4  # requests
AHEAD_BYTES = 16 << 20  # of all of them together
FIRST_WINDOW = 10  # pages: nothing is known of their size yet
PATIENCE = 120.0  # seconds for what follows the first answer: a long read outlasts a restart of the server
LIMITED = 600.0  # seconds of waiting that 429s may ask for


def iter_pages(
    client: Client, job_id: str, *, skip: int = 0, limit: int | None = None, patience: float | None = None
) -> Iterator[bytes]:
    """Each page from entry `skip` on as one valid JSON line without its newline, at most `limit` of them, in order.
    Ends where the server says that there are no more now. Each request is tried for `patience` seconds; if None, the
    first one as long as any single request and the others for PATIENCE. Raises ApiError and Unreachable."""
    for window in _Windows(client, job_id, skip, limit, patience):
        yield from window.lines()


class _Windows:
    """Reads windows, slices of a size that we choose, ahead of who consumes them.

    How many and how large follows from the size of the pages so far: AHEAD_BYTES in all, one page at least.
    """

    def __init__(self, client: Client, job_id: str, skip: int, limit: int | None, patience: float | None) -> None:
        self._client = client
        self._job_id = job_id
        self._next = skip
        self._stop = None if limit is None else skip + limit
        self._known = 0  # entries that exist, as far as the server said; more may follow
        self._size = FIRST_WINDOW
        self._ahead = 1
        self._patience = patience or client.patience
        self._later = patience or PATIENCE
        self._windows: deque[Future[Slice]] = deque()

    def __iter__(self) -> Iterator[Slice]:
        while self._plan():
            window = self._windows.popleft().result()
            self._learn(window)
            yield window
            if not window.has_more:
                return

    def _plan(self) -> bool:
        """Starts what may be started; False when nothing is left to wait for."""
        while len(self._windows) < self._ahead and (not self._windows or self._next < self._known):
            size = self._size if self._stop is None else min(self._size, self._stop - self._next)
            if size <= 0:
                break
            self._windows.append(in_background(partial(self._read, self._next, size)))
            self._next += size
        return bool(self._windows)

    def _learn(self, window: Slice) -> None:
        self._known = window.entries
        self._patience = self._later
        page = max(window.size // max(len(window.pages), 1), 1)
        self._size = min(max(AHEAD_BYTES // AHEAD // page, 1), MAX_LIMIT)
        self._ahead = min(max(AHEAD_BYTES // (self._size * page), 1), AHEAD)

    def _read(self, skip: int, limit: int) -> Slice:
        """A whole window: a server may answer with fewer pages than it was asked for (contract: hasMore)."""
        pages: list[msgspec.Raw | bytes] = []
        size = 0
        while True:
            part = self._client.get_slice(
                self._job_id,
                read_slice,
                skip=skip + len(pages),
                limit=limit - len(pages),
                patience=self._patience,
                limited=LIMITED,
            )
            pages += part.pages[: limit - len(pages)]
            size += part.size
            if not (part.has_more and part.pages) or len(pages) == limit:
                return Slice(part.job, pages, part.has_more and bool(part.pages), part.entries, size)
