"""What reading results and watching cost, beside reader-py 0.4.0 doing the same, against a loopback server.

    python benchmarks/client.py [--rounds N] [--pages N]

Each figure is of whole processes, the best of N rounds; peaks are the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from serving import KEY, serving

PEER_RESULTS = """
import json, sys
from reader_py import ReaderClient
client = ReaderClient(api_key=sys.argv[2], base_url=sys.argv[1])
for page in client.get_all_job_results("job_1"):
    print(json.dumps(page.model_dump(exclude_none=True)))
"""
PEER_STATUS = """
import sys
from reader_py import ReaderClient
print(ReaderClient(api_key=sys.argv[2], base_url=sys.argv[1]).get_job("job_1", limit=1)[0].status)
"""
READER = str(Path(sys.executable).with_name("reader"))
TAB = ["env", "_READER_COMPLETE=complete_zsh", "_TYPER_COMPLETE_ARGS=reader results ", READER]  # offers jobs
PAGE, EVENT, HUGE = 20_000, 4096, 1 << 20  # bytes


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu: float  # seconds: what a busy machine leaves comparable
    megabytes: float

    @staticmethod
    def best(costs: list[Cost]) -> Cost:
        return Cost(
            min(cost.seconds for cost in costs), min(cost.cpu for cost in costs), max(cost.megabytes for cost in costs)
        )

    def per(self, count: int, what: str) -> str:
        rate, cpu = count / self.seconds, self.cpu * 1e6 / count
        return f"{rate:8,.0f} {what}/s  {cpu:6,.0f} µs CPU each  {self.megabytes:4.0f} MB"


class Bench:
    """Runs commands in a home of their own; `folder` takes what they write."""

    def __init__(self, rounds: int, folder: Path) -> None:
        self._rounds = rounds
        self._folder = folder

    def measure(self, url: str, *commands: list[str]) -> list[Cost]:
        """One cost a command. The commands take turns, so that they share what the machine does besides."""
        rounds = [[self._run(url, command) for command in commands] for _ in range(self._rounds)]
        return [Cost.best(list(costs)) for costs in zip(*rounds, strict=True)]

    def _run(self, url: str, command: list[str]) -> Cost:
        folders = {f"XDG_{kind}_HOME": str(self._folder / kind) for kind in ("CONFIG", "STATE", "DATA", "CACHE")}
        environ = {**os.environ, **folders, "READER_API_URL": url, "READER_API_KEY": KEY}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
        with (self._folder / "out").open("wb") as out:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=environ)
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, (command, process.returncode)
        return Cost(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def reader(*words: str) -> list[str]:
    return [READER, *words]


def peer(script: str, url: str) -> list[str]:
    return [sys.executable, "-c", script, url, KEY]


def results(bench: Bench, pages: int, latency: float) -> Iterator[str]:
    with serving(pages, PAGE, latency) as url:
        ours, theirs = bench.measure(url, reader("results", "job_1"), peer(PEER_RESULTS, url))
    yield f"reader results     {ours.per(pages, 'pages')}"
    yield f"reader-py          {theirs.per(pages, 'pages')}"
    yield f"ratio              {theirs.seconds / ours.seconds:8.2f}          {theirs.cpu / ours.cpu:8.2f} of CPU"


def memory(bench: Bench, pages: int, size: int) -> Iterator[str]:
    with serving(pages, size) as url:
        (ours,) = bench.measure(url, reader("results", "job_1"))
    yield f"reader results     {ours.per(pages, 'pages')}"


def events(bench: Bench, count: int) -> Iterator[str]:
    with serving(count, EVENT) as url:
        following, watching = bench.measure(
            url, reader("results", "job_1", "--follow"), reader("watch", "job_1", "--json")
        )
    yield f"results --follow   {following.per(count, 'events')}"
    yield f"watch --json       {watching.per(count, 'events')}"


def ending(rounds: int, bench: Bench) -> Iterator[str]:
    """The slowest of several watches."""
    late, requests = 0.0, 0
    for _ in range(rounds):
        with serving(1000, EVENT) as url:
            bench.measure(url, reader("watch", "job_1"))
            ended = time.time()
            with urlopen(f"{url}/counts") as answer:
                counts = json.load(answer)
        late, requests = max(late, ended - counts["endedAt"]), max(requests, counts["requests"])
    yield f"from done to exit  {late * 1000:8.0f} ms"
    yield f"requests           {requests:8.0f}, the stream's included"


def small(bench: Bench) -> Iterator[str]:
    with serving(1, PAGE) as url:
        ours, theirs, completed = bench.measure(url, reader("status", "job_1"), peer(PEER_STATUS, url), TAB)
    yield f"reader status      {ours.seconds * 1000:8.0f} ms"
    yield f"reader-py          {theirs.seconds * 1000:8.0f} ms"
    yield f"ratio              {ours.seconds / theirs.seconds:8.2f}"
    yield f"one TAB            {completed.seconds * 1000:8.0f} ms"
    yield f"ratio to status    {completed.seconds / ours.seconds:8.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pages", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.rounds, Path(folder))
        cases: dict[str, Callable[[], Iterator[str]]] = {
            f"{options.pages:,} pages of 20 KB": lambda: results(bench, options.pages, 0),
            f"{options.pages:,} pages of 20 KB, 50 ms an answer": lambda: results(bench, options.pages, 0.05),
            f"{10 * options.pages:,} pages of 20 KB": lambda: memory(Bench(1, Path(folder)), 10 * options.pages, PAGE),
            "200 pages of 1 MiB": lambda: memory(bench, 200, HUGE),
            "a stream of 20,000 pages of 4 KB": lambda: events(bench, 20_000),
            "a watch of 1,000 pages": lambda: ending(3 * options.rounds, Bench(1, Path(folder))),
            "one status, one TAB": lambda: small(Bench(5 * options.rounds, Path(folder))),
        }
        for name, case in cases.items():
            print(name)
            for line in case():
                print("   ", line)


if __name__ == "__main__":
    main()
