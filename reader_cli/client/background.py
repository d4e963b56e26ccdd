"""Work in daemon threads: who waits for it stays awake for Ctrl-C and the clock, and the process can end without it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

_T = TypeVar("_T")


def in_background(work: Callable[[], _T]) -> Future[_T]:
    """Not an executor's thread: those are waited for when the process ends, however long their requests hang."""
    future: Future[_T] = Future()
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.tasks.put((work, future))
    return future


class _Worker:
    """A thread that does one piece of work after the other, for starting one costs as much as a small request."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            work, future = self.tasks.get()
            try:
                result, failure = work(), None
            except BaseException as error:
                result, failure = None, error
            _idle.append(self)
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
            del work, future, result, failure  # pages, while it waits


_idle: list[_Worker] = []
