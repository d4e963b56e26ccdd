"""`reader webhooks listen` as a process of its own, and deliveries signed by hand to send to it.

with Listening("--no-register", environ=home) as listening:
    post(listening.url, body, sign_by_hand(body, SECRET))
    line = listening.line()
"""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import re
import signal
import subprocess
import threading
import time
import uuid
from typing import IO, Any, Self

import httpx
from running import start

SECRET = "the secret of the tests, long enough"


def sign_by_hand(
    body: bytes, secret: str = SECRET, *, age: float = 0, event: str = "job.completed", **headers: str
) -> dict[str, str]:
    """A delivery's headers, written out from the contract; `age` in seconds."""
    timestamp = str(int(time.time() - age))
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "user-agent": "Reader-Webhook/1.0",
        "x-reader-event": event,
        "x-reader-delivery": str(uuid.uuid4()),
        "x-reader-timestamp": timestamp,
        "x-reader-signature": "sha256=" + mac.hexdigest(),
        **headers,
    }


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    raw = {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
    return httpx.post(url, content=body, headers=raw, trust_env=False, timeout=30).status_code


class Listening:
    """`url` is where it listens, None for `--from-events`. What it says on stderr is in `talk`."""

    def __init__(self, *arguments: str, environ: dict[str, str], ready: str = r"listening on (\S+?);?(?:\s|$)") -> None:
        self._process = start("webhooks", "listen", *arguments, environ=environ)
        self.pid = self._process.pid
        self.raw: list[bytes] = []
        self.talk: list[str] = []
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._said: queue.Queue[str] = queue.Queue()
        self._threads = [
            self._reading(self._process.stdout, self._take),
            self._reading(self._process.stderr, self._hear),
        ]
        self.url = self.said(ready)[1]

    def line(self, seconds: float = 30) -> dict[str, Any]:
        """The next line of its stdout."""
        return self._lines.get(timeout=seconds)

    def said(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """The next line of its stderr that fits."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._said.get(timeout=max(0.01, deadline - time.monotonic()))
            if found := re.search(pattern, line):
                return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(30)
        for thread in self._threads:
            thread.join()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def _reading(self, stream: IO[bytes] | None, take: Any) -> threading.Thread:
        def read() -> None:
            assert stream
            with stream:
                for line in stream:
                    take(line)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def _take(self, line: bytes) -> None:
        self.raw.append(line)
        self._lines.put(json.loads(line))

    def _hear(self, line: bytes) -> None:
        self.talk.append(line.decode())
        self._said.put(line.decode())
