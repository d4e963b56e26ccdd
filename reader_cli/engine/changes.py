"""Who is told when a job changes. The news itself is in the database; this only wakes those who wait for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

ANY_JOB = ""


class Changes:
    """For one event loop. A bell that rings while nobody waits at it stays rung: no change is missed."""

    def __init__(self) -> None:
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    @contextmanager
    def bell(self, job_id: str = ANY_JOB) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        self._bells[job_id].add(bell)
        try:
            yield bell
        finally:
            self._bells[job_id].discard(bell)
            if not self._bells[job_id]:
                del self._bells[job_id]

    def ring(self, job_id: str) -> None:
        for bell in self._bells.get(job_id, set()) | self._bells.get(ANY_JOB, set()):
            bell.set()

    def close(self) -> None:
        """Wakes everybody for the last time: who listens looks at `closed` and leaves."""
        self.closed = True
        for bells in self._bells.values():
            for bell in bells:
                bell.set()
