from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_server import Engine
from page_server import Loop, Reader, Web, answer
from processes import children_of, is_running, wait_until

from reader_cli.engine.options import ReadOptions

PAGE = (
    "<html lang=en><title>Tides</title><meta name=description content=When><main><h1>Ebb</h1><p>and flow</main></html>"
)


def test_a_page_is_what_the_contract_says(reader: Reader, web: Web) -> None:
    page = reader.read(web.page("/", PAGE), formats=("markdown", "html"), proxy_mode="premium").page
    about = page.pop("metadata")
    assert "and flow" in page.pop("html")
    assert page == {
        "url": f"{web.url}/",
        "markdown": "# Ebb\n\nand flow\n",
        "statusCode": 200,
        "proxyMode": "premium",
        "credits": 3,
    }
    assert isinstance(about.pop("duration"), int)
    assert about.pop("scrapedAt").endswith("Z")
    assert about == {
        "title": "Tides",
        "description": "When",
        "language": "en",
        "statusCode": 200,
        "cached": False,
        "proxyMode": "premium",
    }


class Memory:
    """A cache that never forgets."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.values[key] = value


@pytest.fixture
def caching(loop: Loop) -> Iterator[Reader]:
    running = Reader(loop, cache=Memory())
    yield running
    running.close()


def test_the_cache_costs_nothing_and_keeps_options_and_trust_apart(caching: Reader, web: Web) -> None:
    url = web.page("/", PAGE + "<a href=/next>next</a>")
    first, again = caching.read(url), caching.read(url)
    assert web.hits("/") == 1
    assert (first.page["credits"], again.page["credits"]) == (1, 0)
    assert again.page["metadata"]["cached"] is True
    assert again.page["markdown"] == first.page["markdown"]
    assert (again.links, again.identity, again.private) == (first.links, first.identity, True)
    assert caching.read(url, trusted=False).problem == "url_blocked"
    assert caching.read(url, formats=("html",)).page["metadata"]["cached"] is False
    assert caching.read(url, cache=False).page["metadata"]["cached"] is False
    assert web.hits("/") == 3


def test_failures_are_not_cached(caching: Reader, web: Web) -> None:
    web.page("/", PAGE, status=500)
    assert caching.error(web.url) == "HTTP 500"
    web.page("/", PAGE)
    assert caching.error(web.url) == ""


HOSTILE: dict[str, Callable[[], bytes]] = {
    "elements": lambda: b"<b>" * 2_000_000,
    "nested tables": lambda: b"<table><tr><td>" * 5000,
    "nested divs": lambda: b"<div>" * 50_000 + b"deep",
    "nested lists in main": lambda: b"<main><pre>x</pre>" + b"<ul><li>" * 20_000,
    "paragraphs": lambda: b"<p>short one</p>\n" * 100_000,
    "breaks": lambda: b"short one<br>\n" * 50_000,
    "rows": lambda: b"<table>" + b"<tr><td>a<td>b\n" * 50_000,
    "spans": lambda: b"<table>" + b"<tr><td colspan=10000 rowspan=10000>a<td>b\n" * 1000,
    "links": lambda: b"".join(b"<a href='/p%d'>l</a> " % number for number in range(100_000)),
    "noise": lambda: os.urandom(300_000),
    "one attribute": lambda: b"<div class='" + b"menu-" * 200_000 + b"'>x",
    "unclosed": lambda: b"<p x='/" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_end_in_time_and_harm_nothing(reader: Reader, web: Web, name: str) -> None:
    url = web.page("/", HOSTILE[name]())
    outcome = reader.read(url, timeout_ms=1000)
    assert outcome.page["metadata"]["duration"] < 10_000
    assert outcome.problem in (None, "scrape_timeout")
    assert reader.error(web.page("/", PAGE)) == ""


def test_a_worker_that_dies_costs_one_page(loop: Loop, web: Web) -> None:
    before = children_of(os.getpid())
    reader = Reader(loop)
    try:
        (worker,) = children_of(os.getpid()) - before
        assert reader.error(web.page("/", PAGE)) == ""
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in children_of(os.getpid()))
        assert reader.error(web.url) == ""
        (worker,) = children_of(os.getpid()) - before
        threading.Timer(0.3, os.kill, (worker, signal.SIGKILL)).start()
        url = web.page("/busy", HOSTILE["elements"]())
        assert reader.error(url) == "the page could not be converted: it broke the converter"
        assert reader.error(web.url) == ""
    finally:
        reader.close()
    assert children_of(os.getpid()) == before


def test_the_engine_answers_while_hostile_pages_are_converted(engine: Engine, web: Web) -> None:
    urls = [web.page(f"/{number}", make()) for number, make in enumerate(HOSTILE.values())]
    job = engine.submit({"urls": urls, "timeoutMs": 2000, "cache": False, "batchConcurrency": 20})
    waits, status = [], "queued"
    while status in ("queued", "processing"):
        started = time.monotonic()
        status = engine.job(job, skip=100)["status"]  # without the pages, which are large
        waits.append(time.monotonic() - started)
        time.sleep(0.02)
    assert status == "completed" and len(waits) > 20
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert max(waits) < 2.0  # the other tests want the processors, too


@pytest.mark.parametrize("broken", ["raise ImportError('no parser here')", "import os; os._exit(3)"])
def test_workers_that_cannot_start_say_so(
    loop: Loop, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    library = tmp_path / "trafilatura.py"
    library.write_text(broken)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reader = Reader(loop)
    try:
        error = reader.error(web.page("/", PAGE))
        assert "no parser here" in error or "ended with code 3" in error
        assert error in caplog.text
        library.unlink()
        reader.error(web.url)  # by the worker that was already there
        assert reader.error(web.url) == ""
    finally:
        reader.close()


def test_a_page_that_is_cancelled_frees_its_worker(loop: Loop, reader: Reader, web: Web) -> None:
    slow = web.page("/slow", HOSTILE["elements"]() * 2)  # half a minute

    async def cancel() -> float:
        reading = asyncio.create_task(reader.pages.read(slow, ReadOptions(timeout_ms=120_000), trusted=True))
        await asyncio.sleep(0.3)
        started = time.monotonic()
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        return time.monotonic() - started

    assert loop.run(cancel()) < 0.5
    outcome = reader.read(web.page("/", PAGE))
    assert outcome.problem is None and outcome.page["metadata"]["duration"] < 10_000


ENGINE = """
import asyncio, sys
from reader_cli.engine.options import ReadOptions
from reader_cli.engine.pages import PageReader

async def main():
    reader = PageReader(workers=2, allow_private=True)
    await reader.start()
    await reader.read(sys.argv[1], ReadOptions(), trusted=True)
    print("ready", flush=True)
    await reader.read(sys.argv[2], ReadOptions(timeout_ms=60_000), trusted=True)

asyncio.run(main())
"""


def test_workers_end_with_an_engine_that_is_killed(web: Web) -> None:
    """One of them in the middle of a page."""
    busy = web.page("/busy", HOSTILE["elements"]())
    arguments = [sys.executable, "-c", ENGINE, web.page("/", PAGE), busy]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as engine:
        assert engine.stdout and engine.stdout.readline() == b"ready\n"
        workers = children_of(engine.pid)
        assert len(workers) == 2
        time.sleep(0.3)
        engine.kill()
    wait_until(lambda: not any(map(is_running, workers)))


def test_politeness_is_for_public_hosts(loop: Loop, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy, which plays the internet: six at a time, and nothing before Retry-After has passed."""
    monkeypatch.setenv("http_proxy", web.url)
    reader = Reader(loop)
    target = "http://busy.invalid/"
    at_once: list[int] = []
    inside = 0

    async def count(visitor: object) -> None:
        nonlocal inside
        inside += 1
        at_once.append(inside)
        await asyncio.sleep(0.05)
        inside -= 1
        await visitor.write(answer(PAGE))  # type: ignore[attr-defined]

    async def many(url: str) -> None:
        await asyncio.gather(*(reader.pages.read(url, ReadOptions(), trusted=True) for _ in range(20)))

    async def hold(visitor: object) -> None:
        await asyncio.sleep(0.8)
        await visitor.write(answer(PAGE))  # type: ignore[attr-defined]

    async def behind_others() -> str:
        web.answers |= {target: hold, target + "slow": answer(HOSTILE["elements"]())}
        others = asyncio.create_task(many(target))
        await asyncio.sleep(0.1)
        outcome = await reader.pages.read(target + "slow", ReadOptions(timeout_ms=2000), trusted=True)
        others.cancel()
        return outcome.page["error"]

    try:
        web.answers |= {target: count, "/own": count}
        loop.run(many(target))
        assert max(at_once) == 6
        at_once.clear()
        loop.run(many(f"{web.url}/own"))
        assert max(at_once) > 6
        error = loop.run(behind_others())
        assert float(error.split()[-2]) > 1.5, "its turn was not waited for at the cost of its own time"
    finally:
        reader.close()
