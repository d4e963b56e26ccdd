"""Answers off the wire: an envelope that holds, or the error that says what came instead (contract: ground rules)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import msgspec

from reader_cli.client.hints import build_hint
from reader_cli.errors import ApiError, Unreachable
from reader_cli.models import REQUEST_ID_HEADER, TERMINAL, ErrorCode, Job, Pagination

LONGEST_PAUSE = 300.0  # seconds; a Retry-After beyond it is a misconfigured proxy's

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer. `host` is who gave it, `headers` has lower-case names, `waited` is how many seconds passed
    until it began."""

    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray
    waited: float

    @property
    def request_id(self) -> str | None:
        return self.headers.get(REQUEST_ID_HEADER)


class JobAnswer(NamedTuple):
    """GET /v1/jobs/{id}: the job as it was sent, unknown keys included, and where its `results` stand in the whole."""

    job: Job
    pagination: Pagination


class _Envelope(msgspec.Struct):
    success: bool
    data: Any


class _Refusal(msgspec.Struct, rename="camel"):
    code: str
    message: str = ""
    details: Any = None
    docs_url: str | None = None


class SummaryShape(msgspec.Struct, rename="camel"):
    """What must be there of a job summary for us to go on."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    status: str


class JobShape(SummaryShape, rename="camel"):
    """What we read of a job. `failed` is sent by the engine only."""

    completed: int
    total: int
    failed: int | None = None
    credits_used: int | float | None = None
    completed_at: str | None = None
    error: str | None = None

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


class PaginationShape(msgspec.Struct, rename="camel"):
    has_more: bool
    total: int = 0


def read_envelope(answer: Answer) -> dict[str, Any]:
    """The envelope of a 2xx. Raises ApiError for the contract's error envelope and Unreachable for anything else."""
    if 300 <= answer.status < 400:
        raise _redirected(answer)
    value = decode(answer.body)
    if answer.status >= 400:
        raise _refused(answer, value)
    if not isinstance(value, dict) or value.get("success") is not True or "data" not in value:
        raise not_the_api(answer)
    return value


def read_job(answer: Answer) -> JobAnswer:
    """A job's envelope, its shape checked. Raises as `read_envelope` does."""
    envelope = read_envelope(answer)
    check(answer, envelope["data"], JobShape)
    check(answer, envelope.get("pagination"), PaginationShape)
    return JobAnswer(cast(Job, envelope["data"]), cast(Pagination, envelope["pagination"]))


def read_shape(job: Job) -> JobShape:
    """Of a job that `read_job` let pass."""
    return msgspec.convert(job, JobShape)


def check(answer: Answer, value: Any, shape: type[_T]) -> _T:
    """`value` as `shape`. Raises Unreachable where it isn't."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise not_the_api(answer, str(error)) from None


def decode(body: bytes | bytearray | str) -> Any:
    """JSON, or None where it isn't any. Lone surrogates, NaN and raw control characters are let through."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(body)


def not_the_api(answer: Answer, why: str = "") -> Unreachable:
    """What to say of an answer that is not the contract's."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip() or "no content type"
    what = why or ("an empty body" if not answer.body else f"{len(answer.body)} bytes of {kind}")
    error = Unreachable(
        f"{answer.host} answered {answer.status} with something that is not the Reader API ({what})",
        hint="Check the API URL and any proxy in between: reader doctor",
        sent=answer.status < 400 or answer.status >= 500 or answer.status == 408,
        transient=answer.status < 400 or answer.status >= 500 or answer.status in (408, 425, 429),
        retry_after=read_retry_after(answer.headers),
    )
    error.request_id = answer.request_id
    return error


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds out of `Retry-After`, a number or a date (RFC 9110, 10.2.3), within 0 and LONGEST_PAUSE."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, headers.get("date", ""))
    return min(max(seconds, 0.0), LONGEST_PAUSE) if seconds == seconds else None


def _seconds_until(value: str, date: str) -> float:
    """By the server's own clock: ours may be off. NaN without two dates."""
    try:
        return (parsedate_to_datetime(value) - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return float("nan")


def _decode_leniently(body: bytes | bytearray | str) -> Any:
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _redirected(answer: Answer) -> Unreachable:
    target = answer.headers.get("location", "nowhere")
    return Unreachable(
        f"{answer.host} redirects to {target}; that is not followed, the key belongs to {answer.host} alone",
        hint="Set the API URL to the address that answers: --api-url or READER_API_URL",
        sent=False,
        transient=False,
    )


def _refused(answer: Answer, value: Any) -> ApiError | Unreachable:
    try:
        refusal = msgspec.convert(value, dict[str, Any])["error"]
        error = msgspec.convert(refusal, _Refusal)
    except (msgspec.ValidationError, KeyError):
        if answer.status != 401:
            return not_the_api(answer)
        error = _Refusal(ErrorCode.UNAUTHENTICATED, f"{answer.host} does not accept the key")
    details = error.details if isinstance(error.details, dict) else {}
    return ApiError(
        error.code,
        error.message or f"{answer.host} refused with {error.code}",
        status=answer.status,
        details=details,
        request_id=answer.request_id,
        docs_url=error.docs_url,
        hint=build_hint(error.code, details),
        retry_after=_pause(answer, details),
    )


def _pause(answer: Answer, details: Mapping[str, Any]) -> float | None:
    asked = read_retry_after(answer.headers)
    if asked is None and isinstance(seconds := details.get("retryAfterSeconds"), int | float):
        return min(max(float(seconds), 0.0), LONGEST_PAUSE)
    return asked
