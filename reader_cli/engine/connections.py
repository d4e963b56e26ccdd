"""The engine's side of one TCP connection."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

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
