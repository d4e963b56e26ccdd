"""Answers that hold pages, with the pages left as the bytes that the server sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from reader_cli.client.wire import Answer, JobShape, PaginationShape, check, not_the_api, read_envelope
from reader_cli.errors import Unreachable
from reader_cli.output.jsonl import mend, read_head, split_results, to_line


class Slice(NamedTuple):
    """One answer of GET /v1/jobs/{id}. `pages` are slices of it, each made a line only when it is needed: a late copy
    is small and short-lived. `entries` is how many the server says exist now, `size` the bytes of the answer, `waited`
    the seconds until it began."""

    job: JobShape
    pages: Sequence[msgspec.Raw | bytes]
    has_more: bool
    entries: int
    size: int
    waited: float

    @property
    def retrying(self) -> bool:
        """More results than pages attempted: the errors among them may still be replaced. Only of the engine, which
        counts failures, is `entries` known to be what exists now (contract: what the engine adds)."""
        return self.job.failed is not None and not self.job.terminal and self.entries > self.job.completed

    def lines(self) -> Iterator[bytes]:
        """The pages as `jsonl.to_line` makes them."""
        return (to_line(bytes(page)) for page in self.pages)


class _Results(JobShape, kw_only=True):
    results: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    success: bool
    data: _Results
    pagination: PaginationShape


class _PageEnvelope(msgspec.Struct):
    success: bool
    data: msgspec.Raw


def read_page(answer: Answer) -> bytes:
    """The page of a synchronous scrape as one JSON line. Raises ApiError for a refusal, Unreachable for a page that
    failed and for what is not the API's answer."""
    if answer.status != 200:
        read_envelope(answer)
    try:
        line = to_line(bytes(msgspec.json.decode(answer.body, type=_PageEnvelope).data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # what `_read_leniently` is for
        line = mend(json.dumps(read_envelope(answer)["data"]).encode())
    return _checked_page(answer, line)


def _checked_page(answer: Answer, line: bytes) -> bytes:
    head = read_head(line)
    if head.error is not None:
        raise Unreachable(f"{head.url} could not be read: {head.error}", transient=False)
    if not head.url:
        raise not_the_api(answer)
    return line


def read_slice(answer: Answer) -> Slice:
    """Raises ApiError for a refusal and Unreachable for what is not the API's answer."""
    if answer.status != 200:
        read_envelope(answer)
    try:
        envelope = msgspec.json.decode(answer.body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_leniently(answer)
    return _slice(answer, envelope, envelope.data.results)


def _read_leniently(answer: Answer) -> Slice:
    """For NaN, lone surrogates, raw control characters and deep nesting, which scraped pages bring along."""
    try:
        lines, rest = split_results(bytes(answer.body))
    except (ValueError, RecursionError):
        raise not_the_api(answer) from None
    return _slice(answer, check(answer, rest, _Envelope), lines)


def _slice(answer: Answer, envelope: _Envelope, pages: Sequence[msgspec.Raw | bytes]) -> Slice:
    pagination = envelope.pagination
    job = JobShape(*(getattr(envelope.data, name) for name in JobShape.__struct_fields__))  # without its pages
    return Slice(job, pages, pagination.has_more, pagination.total, len(answer.body), answer.waited)
