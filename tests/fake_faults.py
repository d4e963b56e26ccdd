"""Ways for an answer to go wrong, at the socket. Each makes a function that takes over one exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_server import Exchange

Fault = Callable[["Exchange"], None]
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def drop(exchange: Exchange) -> None:
    """Closes without a word."""
    exchange.close()


def lose_answer(exchange: Exchange) -> None:
    """Does what was asked, and closes without a word."""
    exchange.answer()
    exchange.close()


def silent(exchange: Exchange) -> None:
    """Never answers, until the server stops."""
    exchange.server.stopping.wait()
    exchange.close()


def cut(size: int) -> Fault:
    """The right answer's first `size` bytes."""

    def fault(exchange: Exchange) -> None:
        exchange.send(exchange.answer()[:size])
        exchange.close()

    return fault


def trickle(pause: float = 0.05) -> Fault:
    """The right answer, a byte at a time (slow loris)."""

    def fault(exchange: Exchange) -> None:
        for byte in exchange.answer():
            exchange.send(bytes([byte]))
            if exchange.server.stopping.wait(pause):
                break
        exchange.close()

    return fault


def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
    def fault(exchange: Exchange) -> None:
        exchange.send(exchange.build(status, body, headers or {}))

    return fault


def html(status: int = 502, headers: Mapping[str, str] | None = None) -> Fault:
    return reply(status, HTML, {"content-type": "text/html", **(headers or {})})


def refuse(status: int, code: str, details: Any = None, headers: Mapping[str, str] | None = None) -> Fault:
    """The contract's error envelope."""
    error = {"code": code, "message": f"refused: {code}", "docsUrl": f"https://docs.test/errors/{code}"}
    if details is not None:
        error["details"] = details
    body = json.dumps({"success": False, "error": error}).encode()
    return reply(status, body, {"content-type": "application/json", **(headers or {})})


def rate_limited(seconds: float | None = None) -> Fault:
    headers = {} if seconds is None else {"retry-after": str(seconds)}
    return refuse(429, "rate_limited", headers=headers)
