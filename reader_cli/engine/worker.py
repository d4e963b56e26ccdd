"""An extraction worker: `python -m reader_cli.engine.worker`, started by workers.py.

It ends by itself when its stdin ends, which happens however the engine ends, and the kernel ends it when one task
takes longer than it may: SIGALRM needs no cooperation of C code that is stuck.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import signal
import sys
import threading
from typing import BinaryIO

import msgspec

from reader_cli.engine.faults import PageFault
from reader_cli.engine.tasks import ANSWER_HEAD, TASK_HEAD, Answer, Task
from reader_cli.models import ErrorCode

MEMORY = 2 << 30  # bytes of address space


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    tasks: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, tasks), daemon=True).start()
    _send(answers, _load())
    while True:
        seconds, task = tasks.get()
        signal.setitimer(signal.ITIMER_REAL, max(0.001, seconds))
        answer = _answer(task)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(answers, answer)


def _load() -> Answer:
    """Imports the parsers: half a second that the first page shall not wait for. The answer says what is broken."""
    try:
        import trafilatura  # noqa: F401

        import reader_cli.engine.extract  # noqa: F401
    except Exception as error:
        message = f"the converter cannot start: {type(error).__name__}: {error}"
        return Answer(code=ErrorCode.INTERNAL_ERROR, message=message[:300])
    return Answer()


def _send(answers: BinaryIO, answer: Answer) -> None:
    body = msgspec.msgpack.encode(answer)
    answers.write(ANSWER_HEAD.pack(len(body)) + body)
    answers.flush()


def _receive(stdin: BinaryIO, tasks: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    """Its own thread, so that the end of the engine is noticed in the middle of a page."""
    while len(head := stdin.read(TASK_HEAD.size)) == TASK_HEAD.size:
        seconds, length = TASK_HEAD.unpack(head)
        tasks.put((seconds, stdin.read(length)))
    os._exit(0)


def _answer(task: bytes) -> Answer:
    from reader_cli.engine.extract import extract

    try:
        return Answer(extract(msgspec.msgpack.decode(task, type=Task)))
    except PageFault as fault:
        return Answer(code=fault.code, message=fault.message)
    except (Exception, RecursionError) as error:  # a parser's bug costs one page
        message = f"the page could not be converted: {type(error).__name__} {error}"
        return Answer(code=ErrorCode.INTERNAL_ERROR, message=message[:300])


if __name__ == "__main__":
    main()
