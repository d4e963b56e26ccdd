"""The engine's side of one TCP connection."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from reader_cli.engine.guard import new_request_id
from reader_cli.engine.refusals import invalid
from reader_cli.models import REQUEST_ID_HEADER

SLOW_SECONDS = 60.0


class Connection(H11Protocol):
    """Drops a reader that takes nothing for a minute: what waits for it in the buffer would wait for ever, closing the
    connection politely included."""

    _check: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """asyncio calls this when the buffer is full, and `resume_writing` when most of it was taken."""
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this for what is no HTTP. It is refused like all else (contract: ground rules)."""
        answer = invalid(("", msg)).response()
        own = {REQUEST_ID_HEADER: new_request_id(), "connection": "close"}
        headers = [*answer.raw_headers, *((name.encode(), value.encode()) for name, value in own.items())]
        head, body = h11.Response(status_code=400, headers=headers), h11.Data(data=bytes(answer.body))
        for event in (head, body, h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _look_again(self) -> None:
        self._check = self.loop.call_later(SLOW_SECONDS, self._drop_if_stuck, self.transport.get_write_buffer_size())

    def _drop_if_stuck(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._look_again()
        else:
            self.transport.abort()

    def _forget(self) -> None:
        if self._check:
            self._check.cancel()
