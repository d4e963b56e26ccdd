"""A server that costs as little as it can: canned pages and events over raw sockets, in a process of its own."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

KEY = "rdr_benchmark"
# A fiftieth of its bytes are beyond ASCII, as in the middle of 91 news and blog pages.
TEXT = (
    "The page’s text goes on and on, with a naïve word or two in it that a reader may look for, and plain ones; one"
    " after the other they fill a page, so that it is as long as pages are, and like them it has few that are rare. "
)
JOB = {"mode": "batch", "creditsUsed": 0, "failed": 0, "error": None}
_TARGET = re.compile(rb"GET /v1/jobs/(\w+)(/stream)?(?:\?(?:skip=(\d+)&)?limit=(\d+))? ")


class Canned:
    """`pages` pages of `size` bytes; each answer is held back for `latency` seconds. A stream tells them all."""

    def __init__(self, pages: int, size: int, latency: float) -> None:
        self.pages = pages
        self.latency = latency
        shell = json.dumps({"url": "", "markdown": "", "metadata": {"title": "A page", "statusCode": 200}})
        text = TEXT.encode()
        body = (text * (size // len(text) + 1))[: size - len(shell) - 32].decode(errors="ignore")
        page = {"markdown": body, "metadata": {"title": "A page", "statusCode": 200}}
        self._tail = json.dumps(page, ensure_ascii=False)[1:].encode()

    def page(self, number: int) -> bytes:
        return self._separator(False) % number + self._tail

    def _separator(self, follows: bool) -> bytes:
        return (b", " if follows else b"") + b'{"url": "https://site.test/page/%08d", '

    def answer(self, skip: int, limit: int, *, running: bool) -> list[bytes]:
        """Of a job that is over, or that has not begun: in parts, of which the large ones are one and the same."""
        ready = 0 if running else self.pages
        job = {"id": "job_1", "status": "queued" if running else "completed", "completed": ready, **JOB}
        more = {"total": ready, "skip": skip, "limit": limit, "hasMore": skip + limit < ready}
        opening = json.dumps({"success": True, "data": {**job, "total": self.pages, "results": []}})[:-3].encode()
        parts = [opening]
        for number in range(skip, min(skip + limit, ready)):
            parts += [self._separator(number > skip) % number, self._tail]
        parts.append(b']}, "pagination": %s}' % json.dumps(more).encode())
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return [head % sum(map(len, parts)), *parts]

    def events(self) -> Iterator[bytes]:
        """As an ASGI server sends them: a chunk an event."""
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        for number in range(self.pages):
            yield _chunk(b"event: page\ndata: %s\n\n" % self.page(number))
        counts = {"status": "completed", "completed": self.pages, "total": self.pages, "failed": 0}
        yield _chunk(b"event: done\ndata: %s\n\n" % json.dumps(counts).encode())
        yield b"0\r\n\r\n"


class Server:
    """A job that is terminal for who asks for its results; for who streams it, it runs until the stream is over.

    GET /counts tells how many requests came, and when the end of a stream was sent (unix seconds).
    """

    def __init__(self, canned: Canned) -> None:
        self._canned = canned
        self._streaming = False
        self._requests = 0
        self._ended_at = 0.0

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        buffered = b""
        with connection, suppress(ConnectionError):  # who watches leaves when all is told
            while True:
                while b"\r\n\r\n" not in buffered:
                    received = connection.recv(65536)
                    if not received:
                        return
                    buffered += received
                head, _, buffered = buffered.partition(b"\r\n\r\n")
                self._answer(connection, head)

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"GET /counts "):
            counts = json.dumps({"requests": self._requests, "endedAt": self._ended_at}).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(counts), counts))
            return
        self._requests += 1
        found = _TARGET.match(head)
        assert found, head
        if found[2]:
            self._stream(connection)
            return
        time.sleep(self._canned.latency)
        skip, limit = int(found[3] or 0), int(found[4] or 20)
        _send_parts(connection, self._canned.answer(skip, limit, running=self._streaming))

    def _stream(self, connection: socket.socket) -> None:
        self._streaming = True
        batch = b""
        for event in self._canned.events():
            batch += event
            if len(batch) > 60_000:
                connection.sendall(batch)
                batch = b""
        self._streaming = False
        self._ended_at = time.time()
        connection.sendall(batch)


@contextmanager
def serving(pages: int, size: int, latency: float = 0.0) -> Iterator[str]:
    """The base URL of such a server, which ends with the block."""
    command = [sys.executable, str(Path(__file__)), str(pages), str(size), str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def _send_parts(connection: socket.socket, parts: list[bytes]) -> None:
    """Without joining them, which would cost as much as sending them."""
    left = deque(map(memoryview, parts))
    while left:
        sent = connection.sendmsg(list(islice(left, 1000)))
        while left and sent >= len(left[0]):
            sent -= len(left.popleft())
        if sent:
            left[0] = left[0][sent:]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def main() -> None:
    pages, size, latency = sys.argv[1:]
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        Server(Canned(int(pages), int(size), float(latency))).serve(listener)


if __name__ == "__main__":
    main()
