"""Runs `reader` in processes of its own that may be killed: each line on stdin forks one, which is quick.

A line is a JSON object `{"argv": […], "kill_after": seconds or null}`; the answer is the exit code, or -9.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import httpx  # noqa: F401  what takes long to import, once
import msgspec  # noqa: F401

import reader_cli.commands.results  # noqa: F401
from reader_cli.__main__ import main
from reader_cli.env import from_process


def run(order: dict[str, Any]) -> int:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os._exit(main(order["argv"], from_process()))
    if order["kill_after"] is not None:
        time.sleep(order["kill_after"])
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for line in sys.stdin:
        print(run(json.loads(line)), flush=True)
