"""Submits and resumes in processes of its own that may be killed: each line on stdin forks one, which is quick.

A line is a JSON object `{"resume": RUN or null, "urls": N}`; the answer is the pid. The child writes the ids of the
run's jobs into `argv[3]/PID` when it is done, or the error's code.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from reader_cli.client.api import Client
from reader_cli.errors import ReaderError
from reader_cli.history import History
from reader_cli.inputs import Item
from reader_cli.references import find_run
from reader_cli.runs import RunPlan, record_run, submit_run


def submit(url: str, path: Path, order: dict[str, object]) -> str:
    history = History.open(path)
    if order["resume"]:
        run = find_run(str(order["resume"]), history, url)
    else:
        items = [
            Item(f"https://a.example/{number}", {"n": number}, "-", number) for number in range(int(str(order["urls"])))
        ]
        run = record_run(history, RunPlan(url, {}, items, name="nightly"), now=time.time())
    with Client(url, "rdr_fake", patience=5) as client:
        jobs = submit_run(
            client,
            history,
            run,
            secret=None,
            notify=lambda notice: None,
            now=time.time,
            sleep=lambda seconds: time.sleep(seconds / 200),
        )
        return "\n".join(job["id"] for job in jobs)


def main(url: str, path: str, folder: str) -> None:
    for line in sys.stdin:
        if child := os.fork():
            print(child, flush=True)
            os.waitpid(child, 0)
            print("ended", flush=True)
            continue
        out = Path(folder, str(os.getpid()))
        try:
            out.write_text(submit(url, Path(path), json.loads(line)))
        except ReaderError as error:
            out.write_text(error.code)
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
