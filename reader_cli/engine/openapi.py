"""The engine's OpenAPI document, built from the shapes and limits that the engine itself works with (models.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from reader_cli import __version__
from reader_cli.engine import bodies
from reader_cli.engine.bodies import Schema
from reader_cli.engine.encoding import encode
from reader_cli.models import (
    DEFAULT_LIMIT,
    HTTP_STATUS,
    IDEMPOTENCY_HEADER,
    KEY_HEADER,
    MAX_LIMIT,
    REQUEST_ID_HEADER,
    Credits,
    ErrorCode,
    Job,
    JobSummary,
    Mode,
    Page,
    Pagination,
    Queue,
    Status,
    UsageEntry,
    Webhook,
)

PATH = "/openapi.json"
REF = "#/components/schemas/"
ANYWHERE = (ErrorCode.UNAUTHENTICATED, ErrorCode.RATE_LIMITED, ErrorCode.INTERNAL_ERROR)
NOT_FOUND, INVALID, CONFLICT = ErrorCode.NOT_FOUND, ErrorCode.INVALID_REQUEST, ErrorCode.CONFLICT
FULL = (ErrorCode.INSUFFICIENT_CREDITS, ErrorCode.CONCURRENCY_LIMITED)

# What this engine always sends, where that is not all that the type has.
ALWAYS = {"Page": ["url", "proxyMode", "credits", "metadata"], "Pagination": ["total", "skip", "limit", "hasMore"]}
STATUS: Schema = {"type": "string", "enum": list(Status)}


@dataclass(frozen=True, slots=True)
class Operation:
    """`answers` are the schemas of `data` by HTTP status; those of a `stream` are events instead."""

    method: str
    path: str
    summary: str
    answers: dict[int, Schema]
    codes: Sequence[ErrorCode] = ()
    body: Schema | None = None
    paged: bool = False
    repeatable: bool = False
    stream: bool = False

    def build(self) -> Schema:
        built: Schema = {"summary": self.summary, "operationId": self._name(), "parameters": self._parameters()}
        if self.body:
            built["requestBody"] = {"required": True, "content": _json(self.body)}
        return built | {"responses": self._responses()}

    def _name(self) -> str:
        return "_".join([self.method, *(part.strip("{}") for part in self.path.split("/")[2:])])

    def _parameters(self) -> list[Schema]:
        found = [_parameter("id", "path", {"type": "string"}, required=True)] if "{id}" in self.path else []
        if self.paged:
            found += [_parameter("skip", "query", {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0})]
            limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
            found += [_parameter("limit", "query", limits)]
        if self.repeatable:
            found += [_parameter(IDEMPOTENCY_HEADER, "header", {"type": "string"})]
        return found + ([_parameter("last-event-id", "header", {"type": "string"})] if self.stream else [])

    def _responses(self) -> Schema:
        codes: dict[str, list[ErrorCode]] = {}
        for code in (*self.codes, *((INVALID,) if self.paged or self.body else ()), *ANYWHERE):
            codes.setdefault(str(HTTP_STATUS[code]), []).append(code)
        good = {str(status): self._good(data) for status, data in self.answers.items()}
        return good | {status: _refusal(which) for status, which in sorted(codes.items())}

    def _good(self, data: Schema) -> Schema:
        if self.stream:
            return _response("An event stream", {"text/event-stream": {"schema": {"type": "string"}}})
        more = {"pagination": _ref("Pagination")} if self.paged else {}
        return _response("Success", _json(_closed({"success": {"const": True}, "data": data, **more})))


def _ref(name: str) -> Schema:
    return {"$ref": REF + name}


def _closed(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, where: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": where, "required": required, "schema": schema}


def _response(description: str, content: Schema, **headers: Schema) -> Schema:
    known = {REQUEST_ID_HEADER: {"type": "string"}, **headers}
    wanted = {name: {"schema": schema, "required": name == REQUEST_ID_HEADER} for name, schema in known.items()}
    return {"description": description, "headers": wanted, "content": content}


def _refusal(codes: list[ErrorCode]) -> Schema:
    error: Schema = {
        "code": {"type": "string", "enum": codes},
        "message": {"type": "string"},
        "docsUrl": {"type": "string"},
    }
    schema = _closed(error)
    schema["properties"]["details"] = {"type": "object"}
    waits = {"retry-after": {"type": "integer"}} if ErrorCode.RATE_LIMITED in codes else {}
    return _response(" or ".join(codes), _json(_closed({"success": {"const": False}, "error": schema})), **waits)


def _schemas() -> dict[str, Schema]:
    types = (Page, JobSummary, Job, UsageEntry, Credits, Queue, Pagination, Webhook)
    _, schemas = msgspec.json.schema_components(types, ref_template=REF + "{name}")
    for name, schema in schemas.items():
        schema["required"] = ALWAYS.get(name, list(schema["properties"]))
    for name in ("Job", "JobSummary"):
        schemas[name]["properties"] |= {"status": STATUS, "mode": {"type": "string", "enum": list(Mode)}}
    return {**schemas, **bodies.READ}


ID: Schema = {"type": "string"}
JOB = "/v1/jobs/{id}"
HOOK = "/v1/webhooks/{id}"
READ_BODY: Schema = {"anyOf": [_ref(name) for name in bodies.READ]}
READ_CODES = (*FULL, ErrorCode.URL_BLOCKED, ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.SCRAPE_TIMEOUT)
CREATED: Schema = {"allOf": [_ref("Webhook"), {"properties": {"secret": {"type": "string"}}}]}
CANCELLED = _closed({"id": ID, "status": {"const": Status.CANCELLED}})
RETRIED = _closed({"id": ID, "status": {"const": Status.QUEUED}, "retrying": {"type": "integer", "minimum": 1}})


def _list(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


OPERATIONS = [
    Operation(
        *("post", "/v1/read", "Read one page, or start a batch or a crawl"),
        {200: _ref("Page"), 201: _ref("JobSummary")},
        READ_CODES,
        body=READ_BODY,
        repeatable=True,
    ),
    Operation("get", JOB, "A job and its pages", {200: _ref("Job")}, [NOT_FOUND], paged=True),
    Operation("delete", JOB, "Cancel a job", {200: CANCELLED}, [NOT_FOUND, CONFLICT]),
    Operation(
        *("post", JOB + "/retry", "Read the failed pages of a job again"),
        {200: RETRIED},
        [NOT_FOUND, CONFLICT, INVALID, *FULL],
    ),
    Operation("get", JOB + "/stream", "Follow a job", {200: {}}, [NOT_FOUND], stream=True),
    Operation("get", "/v1/events", "Follow the workspace", {200: {}}, stream=True),
    Operation(
        *("post", "/v1/webhooks", "Register a webhook"),
        {201: CREATED},
        [CONFLICT, ErrorCode.URL_BLOCKED],
        body=bodies.NEW_WEBHOOK,
    ),
    Operation("get", "/v1/webhooks", "The webhooks", {200: _list("Webhook")}, paged=True),
    Operation(
        *("patch", HOOK, "Change a webhook"),
        {200: _ref("Webhook")},
        [NOT_FOUND, ErrorCode.URL_BLOCKED],
        body=bodies.WEBHOOK_CHANGES,
    ),
    Operation("delete", HOOK, "Delete a webhook", {200: _closed({"id": ID})}, [NOT_FOUND]),
    Operation("get", "/v1/usage/credits", "The credits of this month", {200: _ref("Credits")}),
    Operation("get", "/v1/usage/history", "What was read", {200: _list("UsageEntry")}, paged=True),
    Operation("get", "/v1/queue/status", "How busy the engine is", {200: _ref("Queue")}),
]


def build_document() -> Schema:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = operation.build()
    scheme = {"type": "apiKey", "in": "header", "name": KEY_HEADER}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Reader API, as the local engine speaks it", "version": __version__},
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {"key": scheme}},
    }


DOCUMENT = encode(build_document())
