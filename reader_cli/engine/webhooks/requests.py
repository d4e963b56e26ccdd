"""The validation of POST and PATCH /v1/webhooks: everything that is wrong is told at once, with its path."""

from __future__ import annotations

import re
from typing import Any

from reader_cli.engine import checks
from reader_cli.engine.checks import Check, Fields, Wrong
from reader_cli.engine.refusals import invalid
from reader_cli.engine.requests import check_url
from reader_cli.models import WEBHOOK_EVENTS, WEBHOOK_NAME, WEBHOOK_SECRET

HEADERS = 20  # of one webhook
HEADER_LENGTH = 4096  # characters of a value

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, 5.6.2
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
# What the delivery itself needs, and what would change its framing or its way.
_RESERVED = re.compile(
    r"x-reader-.*|content-.*|host|user-agent|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|proxy-.*"
)


def parse_new(body: dict[str, Any]) -> dict[str, Any]:
    """A new webhook's fields. Raises Refused with every issue."""
    fields = Fields(body)
    fields.issues += [(name, "is required") for name in ("url", "name", "events") if not fields.has(name)]
    return {"headers": {}, "secret": None} | _parse(fields)


def parse_changes(body: dict[str, Any]) -> dict[str, Any]:
    """Those fields that are to change. Raises Refused with every issue."""
    fields = Fields(body)
    return _parse(fields, active=checks.flag)


def _parse(fields: Fields, **more: Check[Any]) -> dict[str, Any]:
    known: dict[str, Check[Any]] = {
        "url": check_url,
        "name": checks.sized(*WEBHOOK_NAME),
        "events": _events,
        "secret": checks.sized(*WEBHOOK_SECRET),
        "headers": _headers,
        **more,
    }
    parsed = {name: fields.take(name, check, None) for name, check in known.items() if fields.has(name)}
    if fields.issues:
        raise invalid(*fields.issues)
    return parsed


def _events(value: Any) -> list[str]:
    return list(dict.fromkeys(checks.each(checks.one_of(WEBHOOK_EVENTS), 1)(value)))


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > HEADERS:
        raise Wrong(("", f"must be an object of at most {HEADERS} names and values"))
    issues = [(f".{name}", told) for name, text in value.items() if (told := _header_issue(name, text))]
    if issues:
        raise Wrong(*issues)
    return value


def _header_issue(name: str, value: Any) -> str:
    """A line break in a header would make another header, or another request, of what follows it."""
    if not HEADER_NAME.fullmatch(name):
        return "is no header name"
    if _RESERVED.fullmatch(name.lower()):
        return "belongs to the delivery itself"
    if not isinstance(value, str) or not HEADER_VALUE.fullmatch(value) or len(value) > HEADER_LENGTH:
        return f"must be a string of at most {HEADER_LENGTH} printable ASCII characters"
    return ""
