"""How the engine says no: the contract's error envelope."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from reader_cli.engine.encoding import encode
from reader_cli.models import HTTP_STATUS, ErrorCode

DOCS_URL = "https://reader.dev/docs/home/concepts/errors"


class Refused(Exception):
    """An answer with the error envelope. `status` differs from the code's own only where HTTP wants another (405)."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.status = status or HTTP_STATUS[code]
        self.headers = headers or {}

    def response(self) -> Response:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        body = encode({"success": False, "error": error | {"docsUrl": DOCS_URL}})
        return Response(body, self.status, self.headers, "application/json")


def invalid(*issues: tuple[str, str]) -> Refused:
    """`issues` are (path, message); the path is dotted, and empty for the whole body (contract: invalid_request)."""
    told = "; ".join(f"{path}: {message}" if path else message for path, message in issues[:3])
    details = {"issues": [{"path": path, "message": message} for path, message in issues]}
    return Refused(ErrorCode.INVALID_REQUEST, told, details)
