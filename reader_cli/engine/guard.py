"""Around every request: its id, the key check, the requests of a minute, and a line in the log for what goes wrong."""

from __future__ import annotations

import hmac
import logging
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reader_cli.engine import openapi, site
from reader_cli.engine.limits import RequestBudget
from reader_cli.engine.refusals import Refused
from reader_cli.engine.stream import is_stream
from reader_cli.models import KEY_HEADER, REQUEST_ID_HEADER, ErrorCode

logger = logging.getLogger(__name__)


class Guard:
    """`open` counts the requests and streams that are being answered, `quiet_since` is when the last one ended
    (monotonic seconds)."""

    def __init__(self, app: ASGIApp, key: str, requests: RequestBudget) -> None:
        self._app = app
        self._key = key.encode()
        self._requests = requests
        self.open = 0
        self.quiet_since = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.open += 1
        try:
            await self._answer(scope, receive, _Tagged(send, new_request_id()))
        finally:
            self.open -= 1
            self.quiet_since = time.monotonic()

    async def _answer(self, scope: Scope, receive: Receive, send: _Tagged) -> None:
        try:
            if not _is_open(scope["path"]):
                self._check_key(Headers(scope=scope))
                if not is_stream(scope["path"]):  # contract: an open stream costs no request
                    self._requests.take()
            await self._app(scope, receive, send)
        except Refused as refused:
            await refused.response()(scope, receive, send)
        except Exception:
            logger.exception("request %s broke: %s %s", send.request_id, scope["method"], scope["path"])

    def _check_key(self, headers: Headers) -> None:
        given = headers.get(KEY_HEADER, "").encode()
        if not hmac.compare_digest(given, self._key):
            raise Refused(
                ErrorCode.UNAUTHENTICATED, "the API key is missing or wrong" if given else "no API key was sent"
            )


def new_request_id() -> str:
    return "req_" + secrets.token_hex(8)


def _is_open(path: str) -> bool:
    return path == openapi.PATH or path.startswith(site.MOUNT + "/")


class _Tagged:
    """Sends with the request's id in the headers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self.request_id
        await self._send(message)
