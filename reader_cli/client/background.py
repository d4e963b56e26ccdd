"""Work in daemon threads: who waits for it stays awake for Ctrl-C and the clock, and the process can end without it."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar, cast

_T = TypeVar("_T")


class Task(Generic[_T]):
    """A piece of work under way. To wait for one of the standard library's futures costs several times as much."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._outcome: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()

    def result(self, timeout: float | None = None) -> _T:
        """What the work returned, once. Raises what it raised, and TimeoutError after so many seconds without it."""
        try:
            value, error = self._outcome.get(timeout=timeout)
        except Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return cast(_T, value)

    def run(self, ended: Callable[[], None]) -> None:
        """`ended` is called before anybody hears of the outcome."""
        value, failure = None, None
        try:
            value = self._work()
        except BaseException as error:
            failure = error
        ended()
        self._outcome.put((value, failure))


def in_background(work: Callable[[], _T]) -> Task[_T]:
    """Not an executor's thread: those are waited for when the process ends, however long their requests hang."""
    task = Task(work)
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.tasks.put(task)
    return task


class _Worker:
    """A thread that does one piece of work after the other, for starting one costs as much as a small request."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Task[Any]] = SimpleQueue()
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            task = self.tasks.get()
            task.run(lambda: _idle.append(self))
            del task  # and the pages that it brought, while it waits


_idle: list[_Worker] = []
