"""How fast the engine is, beside the extraction function alone, and what many pages and many readers cost it.

    python benchmarks/engine.py FOLDER [--urls 10000] [--streams 200]

FOLDER holds pages (*.html.gz or *.html). They are served on loopback by a process of its own, on the same cores. Both
sides of the first figure convert the same pages: two processes that do nothing else, and a batch of the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from aiohttp import web

from reader_cli.engine.extract import extract
from reader_cli.engine.tasks import Task
from reader_cli.local import Engine, find_engine

BATCH = 1000
SMALL = b"<html><head><title>A page</title></head><body><main><h1>A page</h1><p>%s</p></main></body></html>"
TEXT = b"Boats leave with the tide and come home when the light goes. " * 20


def load(folder: Path) -> list[bytes]:
    """Pages that the engine takes as HTML, largest bodies included."""
    packed = [gzip.decompress(file.read_bytes()) for file in sorted(folder.rglob("*.html.gz"))]
    return packed + [file.read_bytes() for file in sorted(folder.rglob("*.html"))]


def convert(body: bytes) -> None:
    extract(Task(body, "html", None, "http://127.0.0.1/"))


def alone(pages: list[bytes], count: int) -> tuple[float, float]:
    """Pages a second, and CPU ms a page, of two processes with the extraction function alone."""
    with multiprocessing.Pool(2) as pool:
        pool.map(convert, pages[:20], chunksize=1)  # imports, caches
        workers = [child.pid or 0 for child in multiprocessing.active_children()]
        began, used = time.monotonic(), cpu(workers)
        for _ in pool.imap_unordered(convert, islice(cycle(pages), count), chunksize=1):
            pass
        return count / (time.monotonic() - began), 1000 * (cpu(workers) - used) / count


def cpu(processes: list[int]) -> float:
    """Seconds that they have used, and children of theirs that have ended."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def serve_pages(folder: str, port: Any) -> None:
    """/N is the Nth page, /small/N a small one."""
    pages = load(Path(folder))

    async def answer(request: web.Request) -> web.Response:
        kind, number = request.match_info["kind"], int(request.match_info["number"])
        body = pages[number % len(pages)] if kind == "page" else SMALL % TEXT
        return web.Response(body=body, content_type="text/html")

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/{kind}/{number}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def served(folder: Path) -> Iterator[str]:
    receiving, sending = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve_pages, args=(str(folder), sending), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{receiving.recv()}"
    process.terminate()


class Client:
    """Of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.http = httpx.Client(base_url=engine.url, headers={"x-api-key": engine.key}, timeout=60, trust_env=False)

    def submit(self, urls: list[str]) -> str:
        body = {"urls": urls, "cache": False, "batchConcurrency": 20}
        return str(self.http.post("/v1/read", json=body).raise_for_status().json()["data"]["id"])

    def wait(self, job: str) -> None:
        with self.http.stream("GET", f"/v1/jobs/{job}/stream") as answer:
            for _ in answer.iter_bytes():
                pass
        ended = self.http.get(f"/v1/jobs/{job}", params={"limit": 1}).json()["data"]
        assert ended["status"] == "completed" and not ended["failed"], ended

    def run(self, urls: list[str]) -> tuple[float, float]:
        """Pages a second, and the engine's CPU ms a page, in jobs of 1,000 that are submitted together."""
        began, used = time.monotonic(), cpu(self.processes())
        for job in [self.submit(urls[start : start + BATCH]) for start in range(0, len(urls), BATCH)]:
            self.wait(job)
        seconds = time.monotonic() - began
        return len(urls) / seconds, 1000 * (cpu(self.processes()) - used) / len(urls)

    def processes(self) -> list[int]:
        pid = self.engine.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def first_page(self, url: str) -> float:
        """Milliseconds from POST to a page in the results."""
        began = time.monotonic()
        job = self.submit([url])
        while not self.http.get(f"/v1/jobs/{job}").json()["data"]["results"]:
            pass
        return 1000 * (time.monotonic() - began)

    def peak(self) -> int:
        """MB that the engine's process had in memory at most."""
        status = Path(f"/proc/{self.engine.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@contextmanager
def started() -> Iterator[Client]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "reader_cli.engine", "--data-dir", folder]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while (engine := find_engine(Path(folder))) is None:
                time.sleep(0.01)
            yield Client(engine)
            process.terminate()


def streaming(client: Client, job: str, count: int) -> None:
    """Follows a job to its end by so many streams at once."""
    readers = [threading.Thread(target=client.wait, args=(job,)) for _ in range(count)]
    client.http = httpx.Client(
        base_url=client.engine.url,
        headers={"x-api-key": client.engine.key},
        timeout=120,
        trust_env=False,
        limits=httpx.Limits(max_connections=None),
    )
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--urls", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    pages = load(options.folder)
    with served(options.folder) as site:
        for _ in range(options.rounds):
            measure_batch(pages, site)
        measure_waiting(site)
        measure_size(site, options.urls)
        measure_streams(site, options.streams)


def measure_batch(pages: list[bytes], site: str) -> None:
    count = 4 * len(pages)
    bare, bare_cpu = alone(pages, count)
    with started() as client:
        client.run([f"{site}/page/{number}" for number in range(20)])
        rate, used = client.run([f"{site}/page/{number}" for number in range(count)])
    print(f"batch of {count} pages: {rate:.1f} pages/s, CPU {used:.1f} ms a page", end="; ")
    print(f"extraction alone: {bare:.1f}, {bare_cpu:.1f}; {rate / bare:.0%} (by CPU {bare_cpu / used:.0%})", flush=True)


def measure_waiting(site: str) -> None:
    with started() as client:
        client.run([f"{site}/page/0"])
        times = [client.first_page(f"{site}/page/{number}") for number in range(50)]
    print(f"POST to first page: median {median(times):.0f} ms, slowest of 50 {max(times):.0f} ms", flush=True)


def measure_size(site: str, most: int) -> None:
    for count in (BATCH, most):
        with started() as client:
            client.run([f"{site}/small/{number}" for number in range(50)])
            rate, used = client.run([f"{site}/small/{number}" for number in range(count)])
            told = f"{count} small pages: {rate:.0f} pages/s, CPU {used:.1f} ms a page, {client.peak()} MB"
            print(told, flush=True)


def measure_streams(site: str, count: int) -> None:
    urls = [f"{site}/small/{number}" for number in range(BATCH)]
    with started() as client:
        alone_rate, _ = client.run(urls)
        began = time.monotonic()
        streaming(client, client.submit(urls), count)
        rate = BATCH / (time.monotonic() - began)
        print(f"{count} streams of {BATCH} pages: {rate:.0f} pages/s (one: {alone_rate:.0f}), {client.peak()} MB")


if __name__ == "__main__":
    main()
