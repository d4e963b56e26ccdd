"""What POST and PATCH take, as JSON Schema: the limits that `requests.py` checks, told to others. Built once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reader_cli.engine.requests import DEFAULT_CONCURRENCY, URL_LENGTH
from reader_cli.engine.webhooks.requests import HEADER_LENGTH, HEADER_NAME, HEADER_VALUE, HEADERS
from reader_cli.models import (
    BATCH_CONCURRENCY,
    FORMATS,
    MAX_DEPTH,
    MAX_PAGES,
    MAX_URLS,
    PROXY_MODES,
    TIMEOUT_MS,
    WEBHOOK_EVENTS,
    WEBHOOK_NAME,
    WEBHOOK_SECRET,
)

Schema = dict[str, Any]

NULL: Schema = {"type": "null"}
FLAG: Schema = {"type": "boolean"}
URL: Schema = {"type": "string", "format": "uri", "maxLength": URL_LENGTH}


def _object(properties: Mapping[str, Schema], *required: str) -> Schema:
    """A field that is null counts as absent; unknown fields are ignored."""
    optional = {name: {"anyOf": [schema, NULL]} for name, schema in properties.items() if name not in required}
    return {"type": "object", "properties": {**properties, **optional}, "required": list(required)}


def _whole(least: int, most: int, default: int | None = None) -> Schema:
    limits = {"type": "integer", "minimum": least, "maximum": most}
    return limits if default is None else limits | {"default": default}


def _text(least: int = 1, most: int | None = None) -> Schema:
    limits: Schema = {"type": "string", "minLength": least, "pattern": r"\S"}
    return limits if most is None else limits | {"maxLength": most}


def _list(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def _one_of(names: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(names)}


EVENTS = _list(_one_of(WEBHOOK_EVENTS), 1)
SECRET = _text(*WEBHOOK_SECRET)
SELECTOR: Schema = {**_text(), "format": "css-selector"}
OPTIONS: dict[str, Schema] = {
    "formats": {**_list(_one_of(FORMATS), 1), "default": [FORMATS[0]]},
    "onlyMainContent": {**FLAG, "default": True},
    "includeTags": _list(SELECTOR),
    "excludeTags": _list(SELECTOR),
    "waitForSelector": SELECTOR,
    "timeoutMs": _whole(*TIMEOUT_MS),
    "proxyMode": {**_one_of(PROXY_MODES), "default": PROXY_MODES[0]},
    "batchConcurrency": _whole(*BATCH_CONCURRENCY, DEFAULT_CONCURRENCY),
    "maxConcurrency": {"type": "integer", "minimum": 1, "maximum": 2**31},
    "cache": {**FLAG, "default": True},
    "extract": {**NULL, "description": "Needs a language model, which this engine does not have."},
    "webhook": _object({"url": URL, "events": EVENTS, "secret": SECRET}, "url"),
}
NO_CRAWL: dict[str, Schema] = {"maxDepth": NULL, "maxPages": NULL}
LIMITS: dict[str, Schema] = {"maxDepth": _whole(*MAX_DEPTH), "maxPages": _whole(*MAX_PAGES)}
URLS: Schema = {**_list(URL, 1), "maxItems": MAX_URLS}

READ: dict[str, Schema] = {
    "Scrape": _object({"url": URL, "urls": NULL, **NO_CRAWL, **OPTIONS}, "url"),
    "Batch": _object({"urls": URLS, "url": NULL, **NO_CRAWL, **OPTIONS}, "urls"),
    "CrawlByDepth": _object({"url": URL, "urls": NULL, **LIMITS, **OPTIONS}, "url", "maxDepth"),
    "CrawlByPages": _object({"url": URL, "urls": NULL, **LIMITS, **OPTIONS}, "url", "maxPages"),
}
WEBHOOK: dict[str, Schema] = {
    "url": URL,
    "name": _text(*WEBHOOK_NAME),
    "events": EVENTS,
    "secret": SECRET,
    "headers": {
        "type": "object",
        "maxProperties": HEADERS,
        "propertyNames": {"pattern": f"^{HEADER_NAME.pattern}$"},
        "additionalProperties": {"type": "string", "pattern": f"^{HEADER_VALUE.pattern}$", "maxLength": HEADER_LENGTH},
        "description": "Sent with each delivery. Those that the delivery itself needs are refused.",
    },
}
NEW_WEBHOOK = _object(WEBHOOK, "url", "name", "events")
WEBHOOK_CHANGES = _object({**WEBHOOK, "active": FLAG})
