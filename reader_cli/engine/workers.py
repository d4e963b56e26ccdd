"""Extraction in processes of their own (worker.py): a page can crash or block one of them, never the engine.

Tasks go to a worker's stdin and answers come from its stdout, one at a time, msgpack behind a fixed head (tasks.py).
Its first answer comes without a task and tells whether it could load what it needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys

import msgspec

from reader_cli.engine.faults import PageFault
from reader_cli.engine.tasks import ANSWER_HEAD, TASK_HEAD, Answer, Extracted, Task
from reader_cli.models import ErrorCode

logger = logging.getLogger(__name__)

AT_ONCE = 1 << 18  # bytes written to a worker
TASKS_EACH = 5000  # then a worker is replaced: parsers keep memory that they once took
LARGE = 4 << 20  # bytes; a worker that had a task of this size is replaced at once
UNWANTED_SECONDS = 1.0  # for a task that nobody waits for any more; a new worker costs half a second


class _Worker:
    """One process and its two pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._greeted = False
        self._tasks_left = TASKS_EACH

    @classmethod
    async def launch(cls) -> _Worker:
        """In a session of its own: Ctrl-C is for the engine, whose end the worker notices by itself."""
        command, pipe = (sys.executable, "-P", "-m", "reader_cli.engine.worker"), asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True))

    @property
    def usable(self) -> bool:
        return self._tasks_left > 0 and self._process.returncode is None

    async def ask(self, task: bytes, seconds: float) -> Answer:
        stdin = self._process.stdin
        assert stdin is not None
        self._tasks_left = 0 if len(task) > LARGE else self._tasks_left - 1
        try:
            stdin.write(TASK_HEAD.pack(seconds, len(task)))
            for start in range(0, len(task), AT_ONCE):  # a large write would be copied again for each part that fits
                stdin.write(task[start : start + AT_ONCE])
                await stdin.drain()
            if not self._greeted and (greeting := await self._receive()).code:
                return self._useless(greeting.message)
            self._greeted = True
            return await self._receive()
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._process.wait()
            if not self._greeted:
                return self._useless(f"the converter did not start: it ended with code {code}")
            return _last_words(code, seconds)

    async def _receive(self) -> Answer:
        stdout = self._process.stdout
        assert stdout is not None
        (length,) = ANSWER_HEAD.unpack(await stdout.readexactly(ANSWER_HEAD.size))
        return msgspec.msgpack.decode(await stdout.readexactly(length), type=Answer)

    def _useless(self, message: str) -> Answer:
        """What keeps every page from being read is for the engine's log, too."""
        logger.error("%s (%s)", message, sys.executable)
        self._tasks_left = 0
        return Answer(code=ErrorCode.INTERNAL_ERROR, message=message)

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class _Seat:
    """A place for one worker, which is replaced when it has died or had enough."""

    def __init__(self) -> None:
        self._worker: _Worker | None = None

    async def fill(self) -> _Worker:
        if self._worker is None or not self._worker.usable:
            await self.clear()
            self._worker = await _Worker.launch()
        return self._worker

    async def clear(self) -> None:
        if self._worker is not None:
            await self._worker.end()


class WorkerPool:
    """`size` workers with one task each; further tasks wait for their turn, first come, first served."""

    def __init__(self, size: int) -> None:
        self._seats = [_Seat() for _ in range(size)]
        self._free: asyncio.Queue[_Seat] = asyncio.Queue()
        self._under_way: set[asyncio.Task[Answer]] = set()

    async def start(self) -> None:
        for seat in self._seats:
            await seat.fill()
            self._free.put_nowait(seat)

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await asyncio.gather(*(seat.clear() for seat in self._seats))

    async def run(self, task: Task, seconds: float) -> Extracted:
        """Raises PageFault, and OSError where no process can be started. `seconds` begin when a worker takes the task.

        When the caller is cancelled, the worker has a moment to end the task; then it is replaced.
        """
        seat = await self._free.get()
        asking = asyncio.create_task(self._ask(seat, msgspec.msgpack.encode(task), seconds))
        self._under_way.add(asking)
        asking.add_done_callback(self._under_way.discard)
        try:
            answer = await asyncio.shield(asking)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(UNWANTED_SECONDS, asking.cancel)
            raise
        if answer.result is None:
            raise PageFault(ErrorCode(answer.code), answer.message)
        return answer.result

    async def _ask(self, seat: _Seat, task: bytes, seconds: float) -> Answer:
        try:
            worker = await seat.fill()
            answer = await worker.ask(task, seconds)
            if not worker.usable:
                await seat.fill()  # now, so that it is warm when the next task comes
            return answer
        except asyncio.CancelledError:
            await seat.clear()  # in the middle of a task: its answer would be taken for that of the next one
            raise
        finally:
            self._free.put_nowait(seat)


def _last_words(returncode: int, seconds: float) -> Answer:
    if returncode == -signal.SIGALRM:
        return Answer(code=ErrorCode.SCRAPE_TIMEOUT, message=f"the page could not be converted within {seconds:.2g} s")
    return Answer(code=ErrorCode.INTERNAL_ERROR, message="the page could not be converted: it broke the converter")
