"""Asking GET how a job stands: what it answers is believed, what it fails with is borne for a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from reader_cli.client.api import Client
from reader_cli.client.ledger import Ledger, Outcome
from reader_cli.client.pages import iter_pages
from reader_cli.client.retries import is_transient, pause_after
from reader_cli.client.slices import Slice, read_slice
from reader_cli.errors import ApiError, TimedOut, Unreachable
from reader_cli.events import Event, Notice
from reader_cli.models import ErrorCode

BELIEVE = 5.0  # seconds of 404 before a job is believed not to exist
OLD_STATE = 15.0  # seconds of the very state from before a retry until it is taken for the new one
AGAIN = 0.5  # seconds until a doubtful answer is asked for again


@dataclass
class Watched:
    """A job that has not ended. Times are the client's clock's; `quiet` is how long after `check_at` GET is asked again
    if nothing is heard, `deaf` how often GET knew more than the stream."""

    ledger: Ledger
    check_at: float
    known_at: float = float("-inf")  # when the latest GET that got an answer was sent
    heard_at: float = float("-inf")
    quiet: float = 10.0
    deaf: int = 0
    end_told: bool = False  # by the stream
    refuted_at: float = float("-inf")  # when GET contradicted that
    ended: bool = False  # as GET said
    doubted_at: float | None = None  # since when it is missing, or as it was before the retry


class _Start(NamedTuple):
    """What a check's own GET brought of the results, from entry `skip` on."""

    skip: int
    answer: Slice


class Checker:
    """`give_up_after` seconds without any answer raise Unreachable; `deadline`, a value of the clock, TimedOut."""

    def __init__(self, client: Client, give_up_after: float, deadline: float | None) -> None:
        self._client = client
        self._give_up_after = give_up_after
        self._deadline = deadline
        self._answered_at = client.clock()

    def answered(self) -> None:
        """Something answered, so that the wait for anything at all begins anew."""
        self._answered_at = self._client.clock()

    def check(self, job: Watched, *, pages: bool) -> Iterator[Event | Outcome]:
        """One GET, and what follows from it. Sets `check_at` where the answer says when to ask again, and `ended`.
        With `pages` those whose events never came are read from the results."""
        now = self._client.clock()
        skip, limit = job.ledger.window(pages=pages, ended=job.end_told)
        try:
            answer = self._ask(job.ledger.job_id, skip, limit)
        except (ApiError, Unreachable) as error:
            yield from self._bear(job, error)
            return
        self.answered()
        job.known_at = now
        progress = job.ledger.update(answer)
        if job.ledger.job is None:
            if self._doubt(job) >= OLD_STATE:
                job.ledger.forget_before()
            return
        job.doubted_at = None
        if progress:
            yield progress
        yield from self._recover(job.ledger, _Start(skip, answer), pages)
        if job.ledger.terminal:
            job.ended = True
            yield job.ledger.done()
        elif job.end_told:
            job.refuted_at = now

    def _bear(self, job: Watched, error: ApiError | Unreachable) -> Iterator[Event]:
        now = self._client.clock()
        if isinstance(error, ApiError) and error.code == ErrorCode.NOT_FOUND:
            self._believe_missing(job, error)
        elif not is_transient(error):
            raise error
        elif isinstance(error, ApiError) and error.status == 429:
            self.answered()
            job.check_at = now + pause_after(error, attempt=4)
            yield Notice(job.ledger.job_id, "waiting", f"rate limited, asking again in {job.check_at - now:.0f} s")
        elif now - self._answered_at >= self._give_up_after:
            raise self._give_up(error)
        else:
            job.check_at = now + AGAIN

    def _believe_missing(self, job: Watched, error: ApiError) -> None:
        """Right after a submission a job may not be there yet."""
        self.answered()
        if self._doubt(job) >= BELIEVE:
            raise error

    def _doubt(self, job: Watched) -> float:
        """Asks again soon; returns for how many seconds the answer has been doubtful."""
        now = self._client.clock()
        job.doubted_at = now if job.doubted_at is None else job.doubted_at
        job.check_at = now + AGAIN
        return now - job.doubted_at

    def _recover(self, ledger: Ledger, start: _Start, pages: bool) -> Iterator[Outcome]:
        """Pages whose events never came. First those at the end of the results; where that is not all, because results
        are in another order or a URL was submitted twice, and where failures must be counted, all of them."""
        if pages and ledger.behind:
            for line in self._read(ledger, ledger.position, start):
                if outcome := ledger.next_entry(line):
                    yield outcome
            ledger.look_for_surplus()
        if ledger.unsettled(pages=pages) if ledger.terminal else (ledger.every_page and ledger.behind):
            met: Counter[tuple[str, bool]] = Counter()
            for line in self._read(ledger, 0, start):
                if outcome := ledger.reconcile(line, met):
                    yield outcome
            ledger.reconciled(met)

    def _read(self, ledger: Ledger, skip: int, start: _Start) -> Iterator[bytes]:
        """The entries from `skip` on, of which the first may have been in the answer already."""
        if skip == start.skip:
            yield from start.answer.lines()
            skip += len(start.answer.pages)
            if not start.answer.has_more:
                return
        try:
            yield from iter_pages(self._client, ledger.job_id, skip=skip, patience=self._patience(self._give_up_after))
        except Unreachable as error:
            if self._deadline is not None and self._client.clock() >= self._deadline:
                raise TimedOut("the time is up; the job goes on") from error
            raise self._give_up(error) from error

    def _ask(self, job_id: str, skip: int, limit: int) -> Slice:
        patience = self._patience(self._client.patience)
        return self._client.get_slice(job_id, read_slice, skip=skip, limit=limit, patience=patience)

    def _patience(self, seconds: float) -> float:
        now = self._client.clock()
        left = self._answered_at + self._give_up_after - now
        return min(seconds, left, *([self._deadline - now] if self._deadline is not None else []))

    def _give_up(self, error: ApiError | Unreachable) -> Unreachable:
        gone = Unreachable(
            f"nothing has answered for {self._give_up_after:.0f} s ({error.message}); the job may well be running"
        )
        gone.request_id = error.request_id
        return gone
