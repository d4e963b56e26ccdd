"""Jobs of the fake server: what they hold, and the events that they emit. A test moves them, or lets them play."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from reader_cli.models import TERMINAL, Page

Emit = Callable[[str, dict[str, Any]], None]
_numbers = itertools.count(1)


class FakeJob:
    """`counts_failed` sends `failed` as the engine does; the hosted service doesn't. `entries` are its results."""

    def __init__(self, total: int, *, mode: str = "batch", job_id: str = "", counts_failed: bool = False) -> None:
        self.id = job_id or f"job_{next(_numbers)}"
        self.mode = mode
        self.total = total
        self.status = "queued"
        self.error: str | None = None
        self.entries: list[Page] = []
        self.completed = 0
        self.counts_failed = counts_failed
        self.ended: str | None = None  # completedAt
        self.ended_at = 0.0  # by the monotonic clock
        self.runs = 0
        self.events: list[tuple[str, Any]] = []
        self.changed = threading.Condition()
        self.asked = threading.Event()  # set when GET has answered about it
        self.emit_workspace: Emit = lambda event, data: None

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def failed(self) -> int:
        return sum("error" in entry for entry in self.entries)

    def finish(self, page: Page) -> None:
        """One more entry of the results, a page or a failure, and its events."""
        with self.changed:
            self.status = "processing"
            self.entries.append(page)
            self.completed += 1
            self._tell(page)

    def replace(self, index: int, page: Page, *, to: int | None = None) -> None:
        """A retried entry's new outcome, where it stood or at the place `to` (results that shift)."""
        with self.changed:
            self.status = "processing"
            del self.entries[index]
            self.entries.insert(index if to is None else to, page)
            self.completed += 1
            self._tell(page)

    def end(self, status: str = "completed", error: str | None = None) -> None:
        with self.changed:
            self.status, self.error = status, error
            self.runs += 1
            self.ended_at = time.monotonic()
            self.ended = f"2026-04-04T12:00:{self.runs:02}Z"
            if status != "cancelled":
                name = "job:failed" if status == "failed" else "job:completed"
                self.emit_workspace(name, {"jobId": self.id, **self.progress(), "creditsUsed": self.completed})
            self.changed.notify_all()

    def play(self, pages: Iterable[Page], *, every: float = 0.0, at_once: bool = False) -> threading.Thread:
        """Finishes `pages` in the background, one every `every` seconds, and ends. It begins when somebody has asked
        how the job stands, or `at_once`."""

        def run() -> None:
            if not at_once:
                self.asked.wait()
            for page in pages:
                if self.terminal:
                    return
                self.finish(page)
                threading.Event().wait(every)
            self.end()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def progress(self) -> dict[str, Any]:
        counts = {"status": self.status, "completed": self.completed, "total": self.total}
        return counts | ({"failed": self.failed} if self.counts_failed else {})

    def wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "mode": self.mode,
            **self.progress(),
            "creditsUsed": self.completed - self.failed,
            "error": self.error,
            "createdAt": "2026-04-04T11:59:58Z",
            "startedAt": "2026-04-04T11:59:59Z",
            "completedAt": self.ended if self.terminal else None,
        }

    def retry(self) -> int:
        """Queues the failed entries again, as the engine does; the test gives them their new outcomes."""
        with self.changed:
            failed = self.failed
            self.status = "queued"
            self.completed -= failed
            return failed

    def _tell(self, page: Page) -> None:
        if "error" in page:
            self.events.append(("error", {"url": page["url"], "error": page["error"]}))
        else:
            self.events.append(("page", page))
        self.events.append(("progress", self.progress()))
        self.emit_workspace("job:progress", {"jobId": self.id, **self.progress()})
        self.changed.notify_all()


def make_page(number: int, *, size: int = 40) -> Page:
    return {
        "url": f"https://site.test/{number}",
        "markdown": "x" * size,
        "metadata": {"title": f"Page {number}", "statusCode": 200},
    }


def make_failure(number: int, error: str = "HTTP 500") -> Page:
    return {"url": f"https://site.test/{number}", "error": error}


def make_pages(count: int, *, failing: Iterable[int] = ()) -> list[Page]:
    bad = set(failing)
    return [make_failure(number) if number in bad else make_page(number) for number in range(count)]
