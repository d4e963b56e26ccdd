"""The engine as one process: puts the parts together, listens, and takes them down again in order."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from reader_cli import __version__
from reader_cli.engine import store
from reader_cli.engine.app import Services, build_app
from reader_cli.engine.cache import Cache
from reader_cli.engine.changes import Changes
from reader_cli.engine.connections import Connection
from reader_cli.engine.database import Database
from reader_cli.engine.guard import Guard
from reader_cli.engine.home import Home
from reader_cli.engine.jobs import Jobs
from reader_cli.engine.limits import Limits, RequestBudget
from reader_cli.engine.pages import PageReader
from reader_cli.engine.retention import Keeper, Retention
from reader_cli.engine.runner import Runner
from reader_cli.engine.schema import SCHEMA
from reader_cli.engine.scrapes import Scrapes
from reader_cli.engine.store import now
from reader_cli.engine.usage import Account
from reader_cli.engine.webhooks.service import open_webhooks

if TYPE_CHECKING:
    from reader_cli.engine.durable import Durable

PAGES_AT_ONCE = 32  # over all jobs
KEEP_ALIVE_SECONDS = 120  # longer than a client's longest pause between two polls
GRACE_SECONDS = 2  # for requests that are being answered when the engine stops
LAST_RESORT_SECONDS = 8  # after which a stop becomes a crash, which loses nothing either


@dataclass(frozen=True, slots=True)
class Settings:
    """`port` 0: the last one if it is free, else any. After `idle_timeout` seconds without work it stops by itself."""

    host: str
    port: int
    key: str
    allow_private: bool
    idle_timeout: float | None
    limits: Limits
    retention: Retention


class CannotListen(Exception):
    """Says on what, and why."""


async def serve(home: Home, settings: Settings, ready: Callable[[str], None]) -> None:
    """Runs the engine until a signal or the idle timeout. `ready` is called with its URL once it listens.

    Raises CannotListen, and Unusable for a folder that is damaged or that a later version wrote to.
    """
    listener = _listen(settings.host, settings.port, home.last_port())
    async with _services(home, settings) as services:
        guard = Guard(build_app(services), settings.key, RequestBudget(settings.limits.requests))
        server = _Server(guard)
        stop = partial(_stop, home, server, services.changes)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        ready(_announce(home, settings, listener))
        serving = asyncio.create_task(server.serve([listener]))
        working = asyncio.create_task(_work(guard, services, settings.idle_timeout))
        await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
        stop()
        await serving
        await _cancelled(working)


async def _work(guard: Guard, services: Services, idle_timeout: float | None) -> None:
    """Takes up what an earlier life left, then watches for idleness. Ends with it, or never."""
    await services.jobs.recover()
    await (asyncio.Event().wait() if idle_timeout is None else _idle(guard, services, idle_timeout))


async def _idle(guard: Guard, services: Services, seconds: float) -> None:
    """Returns after so long without active jobs, requests and open streams."""
    busy = time.monotonic()
    while time.monotonic() - max(busy, guard.quiet_since) < seconds:
        await asyncio.sleep(min(1.0, seconds / 4))
        active = await services.database.read(store.active)
        if guard.open or active or await services.webhooks.owe():
            busy = time.monotonic()


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Ends a task, and raises what it had failed with."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class _Server(uvicorn.Server):
    def __init__(self, guard: Guard) -> None:
        super().__init__(
            uvicorn.Config(
                guard,
                http=Connection,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to us: uvicorn raises them once more after it has closed."""
        yield


@contextlib.asynccontextmanager
async def _services(home: Home, settings: Settings) -> AsyncIterator[Services]:
    """Everything that the handlers need, started; closed in the reverse order."""
    database, cache = (
        Database(home.folder / "reader.db", SCHEMA),
        Cache(home.folder / "cache.db", settings.retention.cache_seconds),
    )
    account, changes, slots = Account(settings.limits), Changes(), asyncio.Semaphore(PAGES_AT_ONCE)
    async with contextlib.AsyncExitStack() as stack:
        for opened in (database, cache):
            stack.callback(opened.close)
            await opened.open()
        reader = PageReader(workers=os.cpu_count() or 1, allow_private=settings.allow_private, cache=cache)
        stack.push_async_callback(reader.close)
        await reader.start()
        runner = Runner(database, account, reader, changes, slots)
        runs = _Runs(home.folder / "runs.db", runner)
        stack.push_async_callback(runs.close)
        stack.push_async_callback(runner.close)
        keeper = asyncio.create_task(Keeper(database, cache, settings.retention, runs.forget).run())
        stack.push_async_callback(_cancelled, keeper)
        webhooks = await stack.enter_async_context(
            open_webhooks(database, changes, allow_private=settings.allow_private)
        )
        jobs = Jobs(database, account, changes, runs.start, runner.stop)
        scrapes = Scrapes(database, account, reader, slots)
        at_once = settings.limits.active_jobs or PAGES_AT_ONCE
        yield Services(database, changes, jobs, scrapes, webhooks, account, at_once)


class _Runs:
    """DBOS, launched behind the back of the first requests: its import alone takes longer than all the rest."""

    def __init__(self, file: Path, runner: Runner) -> None:
        self._runner = runner
        self._launching = asyncio.create_task(self._launch(file))

    async def start(self, job_id: str, number: int) -> None:
        """Begins at once. After a crash DBOS would look at what it has only when its second is over; it joins then."""
        self._runner.begin(job_id, number)
        durable = await asyncio.shield(self._launching)
        await durable.start(job_id, number)

    async def forget(self) -> None:
        durable = await asyncio.shield(self._launching)
        await durable.forget()

    async def close(self) -> None:
        durable = await self._launching
        await asyncio.to_thread(durable.close)

    async def _launch(self, file: Path) -> Durable:
        module = await asyncio.to_thread(importlib.import_module, "reader_cli.engine.durable")
        durable: Durable = module.Durable(file, self._runner.run)
        durable.launch()
        return durable


def _announce(home: Home, settings: Settings, listener: socket.socket) -> str:
    """Tells where the engine is, and returns its URL: connections wait in the backlog from here on."""
    port = listener.getsockname()[1]
    url = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{port}"
    home.announce(
        {
            "pid": os.getpid(),
            "url": url,
            "key": settings.key,
            "version": __version__,
            "startedAt": now(),
            "dataDir": str(home.folder),
        },
        port,
    )
    return url


def _listen(host: str, port: int, last_port: int) -> socket.socket:
    """Raises CannotListen for a port that was asked for and is taken; the last one is only preferred."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port or last_port), family=family, backlog=512)
    except OSError as error:
        if port or not last_port:
            raise CannotListen(f"cannot listen on {host} port {port}: {error}") from error
        return _listen(host, 0, 0)
    # Connections inherit it. asyncio sets it only on sockets whose protocol is named, which create_server does not do:
    # an answer in two parts would wait 40 ms for the other side's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _stop(home: Home, server: uvicorn.Server, changes: Changes) -> None:
    home.leave()
    server.should_exit = True
    changes.close()
    resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, (1,))
    resort.daemon = True
    resort.start()
