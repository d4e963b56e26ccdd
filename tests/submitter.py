"""Submits and resumes in processes of its own that may be killed: each line on stdin forks one, which is quick.

A line is a JSON object `{"resume": RUN or null, "urls": N, "kill_after": seconds or null}`. The answer, when the child
has ended, is a line with what it made of it: the ids of the run's jobs, an error's code, nothing when it was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from reader_cli.client.api import Client
from reader_cli.errors import ReaderError
from reader_cli.history import History
from reader_cli.inputs import Item
from reader_cli.references import find_run
from reader_cli.runs import RunPlan, record_run, submit_run


def nap(seconds: float) -> None:
    time.sleep(seconds / 200)


def submit(url: str, path: Path, order: dict[str, Any]) -> str:
    history = History.open(path)
    if order["resume"]:
        run = find_run(order["resume"], history, url)
    else:
        items = [Item(f"https://a.example/{number}", {"n": number}, "-", number) for number in range(order["urls"])]
        run = record_run(history, RunPlan(url, {}, items, name="nightly"), now=time.time())
    with Client(url, "rdr_fake", patience=5, sleep=nap) as client:
        jobs = submit_run(client, history, run, secret=None, notify=lambda _: None, now=time.time, sleep=nap)
        return " ".join(job["id"] for job in jobs)


def main(url: str, path: str) -> None:
    Client(url, "").close()  # imports what it needs here, once
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, attempt(url, Path(path), order).encode())
            os._exit(0)
        os.close(writing)
        if order["kill_after"] is not None:
            time.sleep(order["kill_after"])
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(os.read(reading, 65536).decode(), flush=True)
        os.close(reading)


def attempt(url: str, path: Path, order: dict[str, Any]) -> str:
    try:
        return submit(url, path, order)
    except ReaderError as error:
        return error.code


if __name__ == "__main__":
    main(*sys.argv[1:])
