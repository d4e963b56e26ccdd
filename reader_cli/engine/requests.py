"""The validation of requests: everything that is wrong with one is told at once (contract: `details.issues`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reader_cli.engine import checks
from reader_cli.engine.checks import Fields, Wrong
from reader_cli.engine.crawl import normalise
from reader_cli.engine.options import JobOptions, ReadOptions, ReadRequest, WebhookOptions
from reader_cli.engine.refusals import invalid
from reader_cli.models import (
    BATCH_CONCURRENCY,
    DEFAULT_LIMIT,
    FORMATS,
    MAX_DEPTH,
    MAX_LIMIT,
    MAX_PAGES,
    MAX_URLS,
    PROXY_MODES,
    TIMEOUT_MS,
    WEBHOOK_EVENTS,
    WEBHOOK_SECRET,
    Mode,
)

DEFAULT_CONCURRENCY = 8  # pages of one job at a time
URL_LENGTH = 8192


def parse_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in a request's body. Raises Refused."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid(("", "the body is not JSON")) from None
    if not isinstance(body, dict):
        raise invalid(("", "the body is not a JSON object"))
    return body


def parse_read(body: dict[str, Any]) -> ReadRequest:
    """POST /v1/read's body. Unknown keys are ignored. Raises Refused with every issue."""
    fields = Fields(body)
    request = ReadRequest(_mode(fields), _urls(fields), _job_options(fields), fields.take("webhook", _webhook, None))
    if fields.issues:
        raise invalid(*fields.issues)
    return request


def parse_window(query: Mapping[str, str]) -> tuple[int, int]:
    """`skip` and `limit` of a list. Raises Refused."""
    fields = Fields(query)
    skip = fields.take("skip", checks.digits(0, 2**53), 0)
    limit = fields.take("limit", checks.digits(1, MAX_LIMIT), DEFAULT_LIMIT)
    if fields.issues:
        raise invalid(*fields.issues)
    return skip, limit


def _mode(fields: Fields) -> Mode:
    crawl = [name for name in ("maxDepth", "maxPages") if fields.has(name)]
    if fields.has("urls"):
        misplaced = [name for name in ("url", *crawl) if fields.has(name)]
        fields.issues += [(name, "does not go together with `urls`") for name in misplaced]
        return Mode.BATCH
    if not fields.has("url"):
        fields.issues.append(("url", "`url` or `urls` is required"))
    return Mode.CRAWL if crawl else Mode.SCRAPE


def _urls(fields: Fields) -> tuple[str, ...]:
    single = fields.take("url", check_url, None)
    return (single,) if single else fields.take("urls", checks.each(check_url, 1, MAX_URLS), ())


def _job_options(fields: Fields) -> JobOptions:
    fields.take("extract", _no_extraction, None)
    concurrency = fields.take("batchConcurrency", checks.whole(*BATCH_CONCURRENCY), DEFAULT_CONCURRENCY)
    return JobOptions(
        read=_read_options(fields),
        concurrency=min(concurrency, fields.take("maxConcurrency", checks.whole(1, 2**31), concurrency)),
        max_depth=fields.take("maxDepth", checks.whole(*MAX_DEPTH[:2]), MAX_DEPTH[2]),
        max_pages=fields.take("maxPages", checks.whole(*MAX_PAGES[:2]), MAX_PAGES[2]),
    )


def _read_options(fields: Fields) -> ReadOptions:
    standard = ReadOptions()
    return ReadOptions(
        formats=fields.take("formats", checks.each(checks.one_of(FORMATS), 1), standard.formats),
        only_main_content=fields.take("onlyMainContent", checks.flag, standard.only_main_content),
        include_tags=fields.take("includeTags", checks.each(checks.text), standard.include_tags),
        exclude_tags=fields.take("excludeTags", checks.each(checks.text), standard.exclude_tags),
        wait_for_selector=fields.take("waitForSelector", checks.text, standard.wait_for_selector),
        timeout_ms=fields.take("timeoutMs", checks.whole(*TIMEOUT_MS[:2]), standard.timeout_ms),
        proxy_mode=fields.take("proxyMode", _proxy_mode, standard.proxy_mode),
        cache=fields.take("cache", checks.flag, standard.cache),
    )


def _webhook(value: Any) -> WebhookOptions:
    if not isinstance(value, dict):
        raise Wrong(("", "must be an object"))
    fields = Fields(value)
    if not fields.has("url"):
        fields.issues.append(("url", "is required"))
    options = WebhookOptions(
        fields.take("url", check_url, ""),
        fields.take("events", checks.each(checks.one_of(WEBHOOK_EVENTS), 1), ()),
        fields.take("secret", checks.sized(*WEBHOOK_SECRET), None),
    )
    if fields.issues:
        raise Wrong(*((f".{path}", message) for path, message in fields.issues))
    return options


def check_url(value: Any) -> str:
    text = checks.text(value)
    if len(text) > URL_LENGTH:
        raise Wrong(("", f"is longer than {URL_LENGTH} characters"))
    try:
        normalise(text)
    except ValueError:
        raise Wrong(("", "must be an http or https URL")) from None
    return text


def _proxy_mode(value: Any) -> str:
    """The older modes mean what their successors do."""
    return {"stealth": "premium", "auto": "standard"}.get(checks.one_of(PROXY_MODES)(value), str(value))


def _no_extraction(_value: Any) -> None:
    raise Wrong(("", "needs a language model, which this engine does not have"))
