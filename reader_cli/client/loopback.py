"""HTTP/1.1 to this machine itself: a transport for httpx on the standard library's client.

Between the engine and its client the network costs nothing, and what an answer costs is how often its bytes are copied:
here once into a chunk, under httpcore and h11 four times. Reading results is twice as fast for it (benchmarks).
"""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

CHUNK = 120 * 1024  # bytes; an allocation of 128 KiB or more is fresh memory each time


class LoopbackTransport(httpx.BaseTransport):
    """Plain http only. Keeps idle connections; safe to use from several threads."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int | None], list[http.client.HTTPConnection]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        server = request.url.host, request.url.port
        idle = self._idle.setdefault(server, [])
        timeouts = request.extensions["timeout"]
        connection = _reuse(idle) or _connect(server, timeouts["connect"])
        extensions = {"network_stream": _NetworkStream(connection.sock)}  # which an answer may take away
        try:
            answer = _exchange(connection, request, timeouts["read"])
        except BaseException:
            connection.close()
            raise
        body = _Body(connection, answer, idle)
        return httpx.Response(answer.status, headers=answer.getheaders(), stream=body, extensions=extensions)

    def close(self) -> None:
        for connections in self._idle.values():
            while connections:
                connections.pop().close()


class _Body(httpx.SyncByteStream):
    """The rest of an answer; a connection whose answer was read whole goes back to the idle ones."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        idle: list[http.client.HTTPConnection],
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._idle = idle
        self._whole = False

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx(httpx.ReadError):
            while data := self._answer.read1(CHUNK):
                yield data
            if self._answer.length:
                raise httpx.RemoteProtocolError(f"{self._answer.length} bytes are missing")
        self._whole = True

    def close(self) -> None:
        self._answer.close()
        if self._whole and not self._answer.will_close:
            self._idle.append(self._connection)
        else:
            self._connection.close()


class _Response(http.client.HTTPResponse):
    """One that reads as much as there is: small chunks, as event streams have them, come many to a read."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = sock.makefile("rb", CHUNK)  # type: ignore[assignment]  # a BufferedReader, with a size of its own


class _NetworkStream:
    """The one thing of httpcore's network streams that we use."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def get_extra_info(self, info: str) -> Any:
        return self._connection if info == "socket" else None


def _reuse(idle: list[http.client.HTTPConnection]) -> http.client.HTTPConnection | None:
    """One that the server did not close meanwhile; a closed one is readable, with nothing to read."""
    while idle:
        connection = idle.pop()
        if connection.sock and not select.select([connection.sock], [], [], 0)[0]:
            return connection
        connection.close()
    return None


def _connect(server: tuple[str, int | None], timeout: float | None) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(*server, timeout=timeout)
    connection.response_class = _Response
    try:
        connection.connect()
    except TimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return connection


def _exchange(
    connection: http.client.HTTPConnection, request: httpx.Request, timeout: float | None
) -> http.client.HTTPResponse:
    connection.sock.settimeout(timeout)
    with _as_httpx(httpx.WriteError):
        connection.putrequest(
            request.method, request.url.raw_path.decode("ascii"), skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers.raw:
            connection.putheader(name, value)
        connection.endheaders(request.read())
    with _as_httpx(httpx.ReadError):
        return connection.getresponse()


@contextmanager
def _as_httpx(broken: type[httpx.NetworkError]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except http.client.HTTPException as error:
        raise httpx.RemoteProtocolError(str(error) or "no answer") from error
    except OSError as error:
        raise broken(str(error)) from error
