"""Following jobs to their end through whatever breaks (contract: watching a job; cli: watch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reader_cli.client.api import Client, job_path
from reader_cli.client.checks import Checker, Watched
from reader_cli.client.ledger import Ledger, Outcome
from reader_cli.client.reconnecting import Reconnecting
from reader_cli.client.sse import Ended, Message, Opened, Signal
from reader_cli.client.wire import decode, read_shape
from reader_cli.errors import ApiError, ReaderError, TimedOut
from reader_cli.events import Event, Notice
from reader_cli.models import TERMINAL, ErrorCode, Job

Via = Literal["auto", "sse", "poll"]

QUIET = (10.0, 60.0)  # seconds without an event after which GET is asked: at first, and at most
UNHEARD = 2.0  # seconds that many jobs on one stream have to be heard from before GET is asked
OPENING = 1.0  # seconds that a stream has to open before GET is asked
RECHECK = 0.25  # seconds until GET is asked again when it contradicted a stream's `done`
DEAF = 2  # GETs in a row that know more than the stream told: it is of no use
LOOK_UP = 0.25  # seconds after which the client's clock is looked at: it may run faster than the system's
CROWD = 5  # jobs that are polled at the pace of one
NEVER = float("-inf")
TOGETHER = 100  # events, after which the clock is looked at
PAGES = frozenset({"page", "error"})
ENDS = frozenset({"done", "job:completed", "job:failed"})


@dataclass(frozen=True)
class WatchOptions:
    """`interval` of polling, `give_up_after` of silence, in seconds; `deadline` is a value of the client's clock.

    `via`: `auto` takes polling where a stream can't be had or stays silent. `before_waiting` is called when no more is
    known for now, to show what the events led to: to write them one by one costs more than to read them.
    """

    via: Via = "auto"
    interval: float | None = None
    give_up_after: float = 120.0
    deadline: float | None = None
    before_waiting: Callable[[], object] = lambda: None


def watch_jobs(
    client: Client, job_ids: Sequence[str], options: WatchOptions, *, before: Mapping[str, Job] | None = None
) -> Iterator[Event]:
    """The events of all jobs, until each had its Done; each page has its event once, however often it is told.

    `before`: jobs as they stood before a retry, so that their old end is not taken for the new one. Several jobs share
    the workspace's stream, which tells no pages. Raises TimedOut at the deadline, ApiError where the server refuses,
    and Unreachable when nothing answered for so long; the jobs go on.
    """
    for item in watch_outcomes(client, job_ids, options, before=before):
        yield item.event() if isinstance(item, Outcome) else item


def watch_outcomes(
    client: Client,
    job_ids: Sequence[str],
    options: WatchOptions,
    *,
    before: Mapping[str, Job] | None = None,
    every_page: bool = False,
) -> Iterator[Event | Outcome]:
    """`watch_jobs` with the pages as they were sent. `every_page`: those that finished earlier, too."""
    known = {job_id: read_shape(job) for job_id, job in (before or {}).items()}
    ledgers = [Ledger(job_id, every_page=every_page, before=known.get(job_id)) for job_id in dict.fromkeys(job_ids)]
    watch = _Watch(client, ledgers, options)
    try:
        yield from watch.run()
    finally:
        watch.close()


def follow_pages(client: Client, job_id: str, options: WatchOptions) -> Iterator[bytes | Event]:
    """Each page as a JSON line, as it finishes, once, between the events of the watch; the last is the job's Done.
    Raises as `watch_jobs` does."""
    for item in watch_outcomes(client, [job_id], options, every_page=True):
        yield item.line() if isinstance(item, Outcome) else item


def poll_interval(watched: float) -> float:
    """Seconds until the next poll of a job that is watched for so many: 1 s, 5 s after a minute, 15 s after five
    (contract: poll)."""
    if watched < 60:
        return 1 + 4 * watched / 60
    return min(5 + 10 * (watched - 60) / 240, 15.0)


class _Watch:
    """The loop: what is due by the clock, then what the stream tells, until no job is open."""

    def __init__(self, client: Client, ledgers: Sequence[Ledger], options: WatchOptions) -> None:
        self._client = client
        self._options = options
        self._started = client.clock()
        self._polling = options.via == "poll"
        first = self._started if self._polling else float("inf")  # set when a stream is opened
        self._jobs = {ledger.job_id: Watched(ledger, check_at=first) for ledger in ledgers}
        self._checker = Checker(client, options.give_up_after, options.deadline)
        self._has_pages = len(ledgers) == 1
        self._name = ledgers[0].job_id if self._has_pages else ""
        self._stream = Reconnecting(client, job_path(self._name) + "/stream" if self._has_pages else "/v1/events")
        self._opened_at = NEVER
        self._down = False  # and that was told
        self._told = ""

    def run(self) -> Iterator[Event | Outcome]:
        if self._polling:
            yield from self._tell_via("poll")
        while self._jobs:
            if not self._polling and self._stream.connect():
                self._check_all(self._stream.connected_at + OPENING)
            yield from self._check_due()
            if self._jobs:
                yield from self._receive()

    def close(self) -> None:
        self._stream.close()

    def _receive(self) -> Iterator[Event | Outcome]:
        """What comes together is taken together, unless it makes something due."""
        signal = self._wait()
        for left in reversed(range(TOGETHER)):
            if signal is None:
                return
            yield from self._take(signal)
            alike = isinstance(signal, Message) and signal.event in PAGES
            signal = self._stream.get(0.0) if alike and left else None

    def _wait(self) -> Signal | None:
        """Until something is due, or the stream tells something."""
        self._options.before_waiting()
        now, deadline = self._client.clock(), self._options.deadline
        if deadline is not None and now >= deadline:
            raise TimedOut("the time is up; the job goes on")
        due = [job.check_at for job in self._jobs.values()]
        due += [deadline] if deadline is not None else []
        due += [] if self._polling or self._stream.connected else [self._stream.connect_at]
        pause = min(due) - now
        if self._stream.connected and not self._holding():
            return self._stream.get(min(pause, LOOK_UP))
        if pause > 0:
            self._client.sleep(pause)
        return None

    def _holding(self) -> bool:
        """Pages are to come in order: first those that were missed, from GET, then what an opened stream tells."""
        return any(job.ledger.every_page and job.known_at < self._opened_at for job in self._jobs.values())

    def _check_due(self) -> Iterator[Event | Outcome]:
        now = self._client.clock()
        for job in [job for job in self._jobs.values() if job.check_at <= now]:
            yield from self._check(job, now)
            if job.ended:
                del self._jobs[job.ledger.job_id]

    def _check(self, job: Watched, now: float) -> Iterator[Event | Outcome]:
        self._options.before_waiting()
        known, quiet = job.ledger.completed, self._is_quiet(job, now)
        job.check_at = now + (self._poll_pause(now) if self._polling else job.quiet)
        job.quiet = min(job.quiet * 2, QUIET[1])
        yield from self._checker.check(job, pages=job.ledger.every_page or (self._has_pages and not self._polling))
        if quiet and not job.ended and (job.ledger.completed > known or not self._told):
            yield from self._count_deaf(job)

    def _is_quiet(self, job: Watched, now: float) -> bool:
        return self._stream.connected and now - max(job.heard_at, self._stream.connected_at) >= QUIET[0]

    def _count_deaf(self, job: Watched) -> Iterator[Event]:
        """GET knows more than the stream told: a proxy holds it back, or it is dead. Once may be chance."""
        job.deaf += 1
        job.check_at = min(job.check_at, self._client.clock() + UNHEARD)
        if job.deaf >= DEAF:
            yield from self._lose(Ended(), give_up=True)

    def _poll_pause(self, now: float) -> float:
        pause = self._options.interval or poll_interval(now - self._started)
        return pause * max(1.0, len(self._jobs) / CROWD)

    def _take(self, signal: Signal) -> Iterator[Event | Outcome]:
        if isinstance(signal, Message):
            self._checker.answered()
            yield from self._take_message(signal)
        elif isinstance(signal, Opened):
            self._checker.answered()
            now, first = self._client.clock(), self._opened_at == NEVER
            self._opened_at, self._down = now, False
            self._check_all(now + (UNHEARD if first and not self._has_pages else 0.0))
            yield from self._tell_via("sse")
        else:
            refused = signal.refused and not _is_missing(signal.error)
            yield from self._lose(signal, give_up=refused or signal.silent)

    def _take_message(self, message: Message) -> Iterator[Event | Outcome]:
        if message.event in PAGES:
            yield from self._take_page(message)
            return
        data = decode(message.data)
        if not isinstance(data, dict):
            return
        job = self._jobs.get(str(data.get("jobId", self._name)))
        if job is None:
            return
        self._hear(job, ended=message.event in ENDS or str(data.get("status")) in TERMINAL)
        if progress := job.ledger.progress(data):
            yield progress

    def _take_page(self, message: Message) -> Iterator[Outcome]:
        if job := self._jobs.get(self._name):
            self._hear(job)
            if outcome := job.ledger.first_seen(message.data):
                yield outcome

    def _hear(self, job: Watched, *, ended: bool = False) -> None:
        """An end is believed from GET alone, which is asked at once; but a stream may tell it over and over."""
        now = self._client.clock()
        job.heard_at, job.deaf, job.end_told = now, 0, ended
        job.quiet = RECHECK if ended else QUIET[0]
        job.check_at = max(now, job.refuted_at + RECHECK) if ended else now + job.quiet

    def _lose(self, ended: Ended, *, give_up: bool) -> Iterator[Event]:
        """The stream is over: another one after a pause, or polling."""
        self._stream.lose()
        if isinstance(ended.error, ApiError) and ended.error.code == ErrorCode.UNAUTHENTICATED:
            raise ended.error
        now = self._client.clock()
        if give_up and self._options.via == "auto":
            self._polling = True
            self._check_all(now)
            yield from self._tell_via("poll")
            return
        self._check_all(now if ended.error else self._stream.connect_at + OPENING)
        if not self._down and not _is_missing(ended.error):
            self._down = True
            yield Notice(self._name, "reconnecting", "the stream was lost, opening it again")

    def _check_all(self, when: float) -> None:
        for job in self._jobs.values():
            job.check_at = min(job.check_at, when)

    def _tell_via(self, via: str) -> Iterator[Event]:
        if via != self._told:
            self._told = via
            yield Notice(self._name, "via", via)


def _is_missing(error: ReaderError | None) -> bool:
    """A job that is not there yet has no stream yet."""
    return isinstance(error, ApiError) and error.code == ErrorCode.NOT_FOUND
