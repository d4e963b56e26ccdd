"""Reading a job's results ahead of who consumes them, in bounded memory (cli: results)."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial

import msgspec

from reader_cli.client.api import Client
from reader_cli.client.background import Task, in_background
from reader_cli.client.slices import Slice, read_slice
from reader_cli.models import MAX_LIMIT
from reader_cli.output.jsonl import read_url

AHEAD = 4  # requests
NEAR = (0.01, 2)  # a server that begins to answer within so many seconds needs no more requests ahead than these
AHEAD_BYTES = 16 << 20  # of all of them together
WINDOW_BYTES = AHEAD_BYTES // AHEAD
FIRST_WINDOW = 10  # pages: nothing is known of their size yet
PATIENCE = 120.0  # seconds for what follows the first answer: a long read outlasts a restart of the server
LIMITED = 600.0  # seconds of waiting that 429s may ask for
ROUNDS = 3  # readings of results that shift while they are read


def iter_pages(
    client: Client, job_id: str, *, skip: int = 0, limit: int | None = None, patience: float | None = None
) -> Iterator[bytes]:
    """Each page from entry `skip` on as one valid JSON line without its newline, at most `limit` of them, in order.
    Ends where the server says that there are no more now. Each request is tried for `patience` seconds; if None, the
    first one as long as any single request and the others for PATIENCE. Raises ApiError and Unreachable.

    If the job was retried meanwhile, its results may have shifted (the engine's don't): they are read again, and pages
    whose URL was not told so often are told then.
    """
    told = array("q")  # hashes of URLs: 8 bytes a page
    for _ in range(ROUNDS):
        windows = _Windows(client, job_id, skip, limit, patience)
        yield from _untold(windows, told)
        if not windows.shifted:
            return


def _untold(windows: _Windows, told: array[int]) -> Iterator[bytes]:
    before = Counter(told)
    for window in windows:
        for line in window.lines():
            key = hash(read_url(line))
            if before.get(key):
                before[key] -= 1
            else:
                told.append(key)
                yield line


class _Windows:
    """Reads windows, slices of a size that we choose, ahead of who consumes them.

    How many and how large follows from the size of the pages so far: AHEAD_BYTES in all, one page at least. It ends
    early, and is `shifted`, where a retry began or ended meanwhile.
    """

    def __init__(self, client: Client, job_id: str, skip: int, limit: int | None, patience: float | None) -> None:
        self.shifted = False
        self._client = client
        self._job_id = job_id
        self._next = skip
        self._stop = None if limit is None else skip + limit
        self._last: Slice | None = None  # without its pages
        self._most = AHEAD
        self._known = 0  # entries that exist, as far as the server said; more may follow
        self._size = FIRST_WINDOW
        self._ahead = 1
        self._patience = patience or client.patience
        self._later = patience or PATIENCE
        self._windows: deque[tuple[int, int, Task[Slice]]] = deque()  # where each begins and ends

    def __iter__(self) -> Iterator[Slice]:
        while self._plan():
            start, stop, window = self._windows.popleft()
            answer = window.result()
            if self._is_of_another_run(answer):
                self.shifted = True
                return
            self._learn(answer)
            yield answer
            if not answer.has_more:
                return
            if start + len(answer.pages) < stop:  # larger than thought
                self._windows.clear()
                self._next = start + len(answer.pages)

    def _plan(self) -> bool:
        """Starts what may be started; False when nothing is left to wait for."""
        while len(self._windows) < self._ahead and (not self._windows or self._next < self._known):
            stop = self._next + self._size
            stop = stop if self._stop is None else min(stop, self._stop)
            if stop <= self._next:
                break
            window = in_background(partial(self._read, self._next, stop - self._next))
            self._windows.append((self._next, stop, window))
            self._next = stop
        return bool(self._windows)

    def _is_of_another_run(self, answer: Slice) -> bool:
        """Whether a retry began or ended since the answer before this one."""
        last = self._last
        if last is None:
            return False
        reopened = last.job.terminal and last.job.completed_at != answer.job.completed_at
        return reopened or last.retrying != answer.retrying

    def _learn(self, answer: Slice) -> None:
        if self._last is None and answer.waited < NEAR[0]:  # later answers wait for this process as well
            self._most = NEAR[1]
        self._last = answer._replace(pages=())
        self._known = answer.entries
        self._patience = self._later
        page = max(answer.size // max(len(answer.pages), 1), 1)
        self._size = min(max(WINDOW_BYTES // page, 1), MAX_LIMIT)
        self._ahead = min(max(AHEAD_BYTES // (self._size * page), 1), self._most)

    def _read(self, skip: int, limit: int) -> Slice:
        """A whole window, for a server may answer with fewer pages than it was asked for (contract: hasMore); the
        beginning of one that turns out to be huge."""
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
            more = part.has_more and bool(part.pages)
            if not more or len(pages) == limit or size > 2 * WINDOW_BYTES:
                return part._replace(pages=pages, has_more=more, size=size)
