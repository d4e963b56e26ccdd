"""The Reader API, one method an endpoint (contract.md). Methods block, and return an answer's `data`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import quote

from reader_cli.client.http import Http, Revive
from reader_cli.client.retries import ATTEMPT, Retries, is_definite, is_transient
from reader_cli.client.slices import read_page
from reader_cli.client.wire import Answer, JobAnswer, SummaryShape, check, read_envelope, read_job, read_shape
from reader_cli.errors import ApiError, MaybeAccepted, ReaderError, Unreachable
from reader_cli.models import (
    DEFAULT_LIMIT,
    IDEMPOTENCY_HEADER,
    MAX_LIMIT,
    TERMINAL,
    TIMEOUT_MS,
    ErrorCode,
    Job,
    JobSummary,
    Pagination,
    Status,
    UsageEntry,
)

if TYPE_CHECKING:
    import httpx

PATIENCE = 15.0  # seconds that a single request is tried for

# Refusals that look at nothing but the request: had it been accepted before, it would not be refused now.
_STATELESS = frozenset({ErrorCode.INVALID_REQUEST, ErrorCode.UNAUTHENTICATED, ErrorCode.URL_BLOCKED})

_OF_THE_PAGE = frozenset({ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.SCRAPE_TIMEOUT})  # refusals of a scrape

_CHANGES = 3  # attempts at a change whose answers keep getting lost

_T = TypeVar("_T")


class Client:
    """Every method raises ApiError for a refusal, and Unreachable when nothing that is the API answered within
    `patience` seconds. `clock` is monotonic seconds, `notify` takes one line of talk. `revive` brings a local engine
    that is gone back and returns its base URL and key. `proxy` is a URL, `ca_bundle` a file of certificates; without
    them the environment's proxies and the system's trust store are used.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE,
        revive: Revive | None = None,
        notify: Callable[[str], None] = lambda line: None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self.http = Http(base_url, key, transport=transport, revive=revive, proxy=proxy, ca_bundle=ca_bundle)
        self.clock = clock
        self.sleep = sleep
        self.patience = patience
        self._retries = Retries(clock, sleep, notify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def submit(self, body: Mapping[str, Any], idempotency_key: str) -> JobSummary:
        """Starts a job. A definite refusal is raised at once: another attempt needs a fresh key. An ambiguous failure
        is repeated with the same key (contract: x-idempotency-key); MaybeAccepted when the answer stays unknown."""
        doubts: list[ReaderError] = []

        def repeatable(error: ReaderError) -> bool:
            doubts.extend([] if is_definite(error) else [error])
            return is_transient(error) and bool(doubts or isinstance(error, Unreachable))

        headers = {IDEMPOTENCY_HEADER: idempotency_key}
        try:
            return self._send("POST", "/v1/read", _read_summary, repeatable=repeatable, body=body, headers=headers)
        except (ApiError, Unreachable) as error:
            if not doubts or error.code in _STATELESS:
                raise
            raise _maybe_accepted(doubts[-1], error) from error

    def scrape(self, body: Mapping[str, Any]) -> bytes:
        """One page, read while we wait, as a JSON line. A lost answer is asked for again with the same key, a refusal
        that may pass with a fresh one: for as long as any single request is tried, but once where the page is to blame.
        """
        headers = {IDEMPOTENCY_HEADER: str(uuid.uuid4())}
        refused_until = self.clock() + self.patience
        blames: list[ApiError] = []

        def repeatable(error: ReaderError) -> bool:
            if not isinstance(error, ApiError):
                return is_transient(error)
            headers[IDEMPOTENCY_HEADER] = str(uuid.uuid4())
            blames.extend([error] if error.code in _OF_THE_PAGE else [])
            return is_transient(error) and self.clock() < refused_until and len(blames) < 2

        patience = int(body.get("timeoutMs", TIMEOUT_MS[2])) / 1000 + self.patience
        return self._send(
            "POST",
            "/v1/read",
            read_page,
            repeatable=repeatable,
            patience=patience,
            attempt=patience,
            body=body,
            headers=headers,
        )

    def get_job(self, job_id: str, *, skip: int = 0, limit: int = 1, patience: float | None = None) -> JobAnswer:
        """The job, and the `limit` entries of its results from `skip` on. Tried for `patience` seconds."""
        return self.get_slice(job_id, read_job, skip=skip, limit=limit, patience=patience)

    def get_slice(
        self,
        job_id: str,
        read: Callable[[Answer], _T],
        *,
        skip: int,
        limit: int,
        patience: float | None = None,
        limited: float = 0.0,
    ) -> _T:
        """`get_job` for who reads the answer in another way: `read` raises Unreachable where it is not the API's.
        Up to `limited` seconds of pauses that a 429 asks for don't count as patience."""
        params = {"skip": skip, "limit": limit}
        return self._send("GET", job_path(job_id), read, patience=patience, limited=limited, params=params)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Stops the job; ApiError `conflict` where it had ended. Where an answer is lost, GET tells what became."""

        def settled(job: Job) -> dict[str, Any] | None:
            if job["status"] in TERMINAL and job["status"] != Status.CANCELLED:
                raise _ended_already(job)
            return {"id": job_id, "status": job["status"]} if job["status"] == Status.CANCELLED else None

        return self._change("DELETE", job_id, job_path(job_id), settled)

    def retry(self, job_id: str, before: Job | None = None) -> dict[str, Any]:
        """Queues the failed pages again. Where an answer is lost, GET tells: a job that is not as it was `before`
        (asked for if None) took it."""
        known = before or self.get_job(job_id).job

        def settled(job: Job) -> dict[str, Any] | None:
            if read_shape(job) == read_shape(known):
                return None
            return {"id": job_id, "status": job["status"], "retrying": max(job["total"] - job["completed"], 0)}

        return self._change("POST", job_id, job_path(job_id) + "/retry", settled)

    def credits(self) -> dict[str, Any]:
        return self._send("GET", "/v1/usage/credits", _read_object)

    def queue(self) -> dict[str, Any]:
        return self._send("GET", "/v1/queue/status", _read_object)

    def usage_history(
        self, skip: int = 0, limit: int = DEFAULT_LIMIT, *, limited: float = 0.0
    ) -> tuple[list[UsageEntry], Pagination]:
        """Up to `limited` seconds of pauses that a 429 asks for don't count as patience."""
        params = {"skip": skip, "limit": limit}
        rows, pagination = self._send("GET", "/v1/usage/history", _read_list, limited=limited, params=params)
        return cast("list[UsageEntry]", rows), pagination

    def create_webhook(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The webhook, and its secret for the only time. Not repeated when the answer got lost: there would be two."""
        return self._send("POST", "/v1/webhooks", _read_object, repeatable=_is_harmless, body=body)

    def list_webhooks(self, skip: int = 0, limit: int = MAX_LIMIT) -> tuple[list[dict[str, Any]], Pagination]:
        return self._send("GET", "/v1/webhooks", _read_list, params={"skip": skip, "limit": limit})

    def update_webhook(self, webhook_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("PATCH", _webhook_path(webhook_id), _read_object, body=changes)

    def delete_webhook(self, webhook_id: str) -> dict[str, Any]:
        """Where an answer was lost, a webhook that is not there any more is one that this call deleted."""
        doubts: list[ReaderError] = []

        def repeatable(error: ReaderError) -> bool:
            doubts.extend([error] if is_transient(error) and not _is_harmless(error) else [])
            return is_transient(error)

        try:
            return self._send("DELETE", _webhook_path(webhook_id), _read_object, repeatable=repeatable)
        except ApiError as error:
            if error.code != ErrorCode.NOT_FOUND or not doubts:
                raise
            return {"id": webhook_id}

    def _change(
        self, method: str, job_id: str, path: str, settled: Callable[[Job], dict[str, Any] | None]
    ) -> dict[str, Any]:
        """For what changes a job and has no idempotency key: a lost answer is never followed by a blind repetition.
        `settled` makes the answer out of the job as it stands, None where the change did not happen."""
        for attempt in range(_CHANGES):
            try:
                return self._send(method, path, _read_object, repeatable=_is_harmless)
            except (ApiError, Unreachable) as error:
                if error.code == ErrorCode.CONFLICT:
                    error.hint = _see_how(job_id)
                if not is_transient(error) or _is_harmless(error) or attempt == _CHANGES - 1:
                    raise
            if answer := settled(self.get_job(job_id).job):
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        read: Callable[[Answer], _T],
        *,
        repeatable: Callable[[ReaderError], bool] = is_transient,
        patience: float | None = None,
        attempt: float = ATTEMPT,
        limited: float = 0.0,
        params: Mapping[str, int] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _T:
        def send(timeout: float) -> _T:
            return read(self.http.send(method, path, timeout=timeout, params=params, body=body, headers=headers))

        patience = self.patience if patience is None else patience
        return self._retries.call(send, patience, repeatable, attempt=attempt, limited=limited)


def job_path(job_id: str) -> str:
    return "/v1/jobs/" + quote(job_id, safe="")


def _webhook_path(webhook_id: str) -> str:
    return "/v1/webhooks/" + quote(webhook_id, safe="")


def _is_harmless(error: ReaderError) -> bool:
    """Whether an attempt without an idempotency key surely changed nothing. Of a 5xx that is not sure."""
    return is_transient(error) and is_definite(error) and not (isinstance(error, ApiError) and error.status >= 500)


def _read_object(answer: Answer) -> dict[str, Any]:
    return check(answer, read_envelope(answer)["data"], dict[str, Any])


def _read_summary(answer: Answer) -> JobSummary:
    data = read_envelope(answer)["data"]
    check(answer, data, SummaryShape)
    return cast(JobSummary, data)


def _read_list(answer: Answer) -> tuple[list[dict[str, Any]], Pagination]:
    envelope = read_envelope(answer)
    rows = check(answer, envelope["data"], list[dict[str, Any]])
    return rows, cast(Pagination, check(answer, envelope.get("pagination"), dict[str, Any]))


def _maybe_accepted(doubt: ReaderError, last: ReaderError) -> MaybeAccepted:
    then = "" if doubt is last else f"; then: {last.message}"
    error = MaybeAccepted(
        f"the submission may or may not have been accepted: {doubt.message}{then}",
        hint="Sending it again with the same idempotency key is safe for 23 hours: reader submit --resume RUN",
    )
    error.request_id = last.request_id
    return error


def _see_how(job_id: str) -> str:
    return f"See how it stands: reader status {job_id}"


def _ended_already(job: Job) -> ApiError:
    return ApiError(
        ErrorCode.CONFLICT,
        f"{job['id']} is {job['status']} already",
        status=409,
        details={"status": job["status"]},
        hint=_see_how(job["id"]),
    )
