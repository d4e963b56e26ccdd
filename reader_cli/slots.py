"""Waiting until a server that is full takes another job (contract: `concurrency_limited` has no Retry-After)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING

from reader_cli.errors import ApiError, Unreachable
from reader_cli.events import Notice
from reader_cli.history import History, Run
from reader_cli.models import TERMINAL

if TYPE_CHECKING:
    from reader_cli.client.api import Client

# Seconds between looks at the jobs of the run: a look costs one of the few requests of a minute.
_LOOKS = (1.0, 2.0, 4.0, 8.0, 15.0)
_LOOKING = 60.0  # seconds; then the next try is worth more: somebody else's slot may be free
_PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0)  # seconds, where the run has no job to look at


class Slots:
    """Knows the run's jobs that take a slot. `sleep` takes seconds."""

    def __init__(
        self,
        client: Client,
        history: History,
        run: Run,
        notify: Callable[[Notice], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._client, self._history, self._run = client, history, run
        self._notify, self._sleep = notify, sleep
        self._active = deque(part.job_id for part in run.parts if part.job_id and part.status not in TERMINAL)
        self._pauses = _growing(_PAUSES)

    def take(self, job_id: str) -> None:
        self._active.append(job_id)
        self._pauses = _growing(_PAUSES)

    def wait(self, refusal: ApiError) -> None:
        """Until a job of the run has ended, but no longer than a minute; having none, a growing pause."""
        self._notify(Notice(self._run.id, "waiting", _told(refusal, bool(self._active))))
        if not self._active:
            self._sleep(next(self._pauses))
            return
        waited = 0.0
        for pause in _growing(_LOOKS):
            self._sleep(pause)
            waited += pause
            if self._has_ended(self._active[0]) or waited >= _LOOKING:
                return

    def _has_ended(self, job_id: str) -> bool:
        """Looks at one job; the next look is at the next one. An error is no end: the POST that follows will tell."""
        self._active.rotate(-1)
        with suppress(ApiError, Unreachable):
            job = self._client.get_job(job_id).job
            self._history.update_state(self._run.server, job)
            if job["status"] in TERMINAL:
                self._active.remove(job_id)
                return True
        return False


def _growing(pauses: Sequence[float]) -> Iterator[float]:
    return chain(pauses, repeat(pauses[-1]))


def _told(refusal: ApiError, has_jobs: bool) -> str:
    limit = refusal.details.get("max")
    most = f" ({limit} at once)" if isinstance(limit, int) else ""
    return f"the server takes no more jobs{most}: waiting until {'one of this run' if has_jobs else 'another'} ends"
