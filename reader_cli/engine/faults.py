"""Why a page could not be read."""

from __future__ import annotations

from reader_cli.models import ErrorCode


class PageFault(Exception):
    """One page's failure. `message` is one sentence for people; `status` is the page's own HTTP status, if it answered.

    A job carries the message as that page's `error`; a synchronous scrape answers with `code`.
    """

    def __init__(self, code: ErrorCode, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message.encode("utf-8", "replace").decode()  # it may quote half a surrogate from a header
        self.status = status
