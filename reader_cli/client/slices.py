"""One answer of GET /v1/jobs/{id}, with its pages left as the bytes that the server sent."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from reader_cli.client.wire import Answer, JobShape, PaginationShape, check, not_the_api, read_envelope
from reader_cli.output.jsonl import split_results, to_line


class Slice(NamedTuple):
    """`lines` are the pages as `jsonl.to_line` makes them, `entries` is how many the server says exist now, `size` the
    bytes of the answer."""

    job: JobShape
    lines: list[bytes]
    has_more: bool
    entries: int
    size: int


class _Results(JobShape, kw_only=True):
    results: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    success: bool
    data: _Results
    pagination: PaginationShape


def read_slice(answer: Answer) -> Slice:
    """Raises ApiError for a refusal and Unreachable for what is not the API's answer."""
    if answer.status != 200:
        read_envelope(answer)
    try:
        envelope = msgspec.json.decode(answer.body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_leniently(answer)
    return _slice(answer, envelope, [to_line(bytes(raw)) for raw in envelope.data.results])


def _read_leniently(answer: Answer) -> Slice:
    """For NaN, lone surrogates, raw control characters and deep nesting, which scraped pages bring along."""
    try:
        lines, rest = split_results(bytes(answer.body))
    except (ValueError, RecursionError):
        raise not_the_api(answer) from None
    return _slice(answer, check(answer, rest, _Envelope), lines)


def _slice(answer: Answer, envelope: _Envelope, lines: list[bytes]) -> Slice:
    pagination = envelope.pagination
    return Slice(envelope.data, lines, pagination.has_more, pagination.total, len(answer.body))
