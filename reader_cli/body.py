"""What is submitted, as typed, and POST /v1/read's options out of it (contract: POST /v1/read). Light, for TAB."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from reader_cli import options
from reader_cli.errors import ConfigError, UsageError
from reader_cli.models import (
    BATCH_CONCURRENCY,
    FORMATS,
    MAX_DEPTH,
    MAX_PAGES,
    PROXY_MODES,
    TIMEOUT_MS,
    WEBHOOK_EVENTS,
    WEBHOOK_SECRET,
)


@dataclass(frozen=True, kw_only=True)
class InputFlags:
    """Where the URLs come from, as typed (cli: submit, Input)."""

    urls: Annotated[list[str] | None, Argument(metavar="[URL]...", help="URLs to read; - reads stdin.")] = None
    file: Annotated[
        list[str] | None,
        Option("-f", "--file", metavar="FILE", help="Lines, CSV, TSV, JSONL or a sitemap; - is stdin."),
    ] = None
    sitemap: Annotated[list[str] | None, Option(metavar="URL|FILE", help="The URLs of a sitemap.")] = None
    input_format: Annotated[
        str | None, Option(metavar="lines|csv|tsv|jsonl|sitemap", help="Instead of the file's suffix.")
    ] = None
    url_column: Annotated[str, Option(metavar="NAME", help="The column or key that holds the URL.")] = "url"
    skip_invalid: Annotated[bool, Option("--skip-invalid", help="Leave bad lines out.")] = False
    keep_duplicates: Annotated[bool, Option("--keep-duplicates", help="Read a URL as often as given.")] = False


@dataclass(frozen=True, kw_only=True)
class PageFlags:
    """How a page is read, as typed; what is None, False or empty leaves the server its default."""

    formats: options.Formats = None
    no_main_content: options.NoMainContent = False
    include_tag: options.IncludeTag = None
    exclude_tag: options.ExcludeTag = None
    wait_for: options.WaitFor = None
    page_timeout: options.PageTimeout = None
    proxy_mode: options.ProxyMode = None
    no_cache: options.NoCache = False
    extract_schema: options.ExtractSchema = None
    extract_prompt: options.ExtractPrompt = None
    set_: options.Set = None


@dataclass(frozen=True, kw_only=True)
class JobFlags(PageFlags):
    """How a job is run."""

    crawl: Annotated[bool, Option("--crawl", help="Follow the links of one URL, on its host.")] = False
    max_depth: Annotated[int | None, Option(metavar="N", help="Crawl so many links deep, 1 to 10 [default: 2].")] = None
    max_pages: Annotated[
        int | None, Option(metavar="N", help="Crawl at most so many pages, to 10,000 [default: 20].")
    ] = None
    concurrency: Annotated[int | None, Option(metavar="N", help="Pages of the batch at once, 1 to 20.")] = None
    max_concurrency: Annotated[
        int | None, Option(metavar="N", help="An upper limit of pages at once (maxConcurrency).")
    ] = None
    webhook: Annotated[str | None, Option(metavar="URL", help="Where the server reports to.")] = None
    webhook_event: Annotated[list[str] | None, Option(metavar="EVENT", help="What it reports; repeatable.")] = None
    webhook_secret_file: Annotated[
        Path | None, Option(metavar="FILE", help="The webhook's secret; or READER_WEBHOOK_SECRET.")
    ] = None


def build_job_options(flags: JobFlags, environ: Mapping[str, str]) -> dict[str, Any]:
    """The body of a job without `url` or `urls`. Raises UsageError for what the contract does not allow."""
    return _chosen(
        batchConcurrency=_within("--concurrency", flags.concurrency, BATCH_CONCURRENCY),
        maxConcurrency=flags.max_concurrency,
        webhook=_webhook(flags, environ),
        **_crawl(flags),
    ) | build_page_options(flags)


def build_page_options(flags: PageFlags) -> dict[str, Any]:
    """The body's options that are about reading a page. Raises UsageError for what the contract does not allow."""
    return _chosen(
        formats=[_one_of("--format", value, FORMATS) for value in flags.formats or ()],
        onlyMainContent=False if flags.no_main_content else None,
        includeTags=flags.include_tag,
        excludeTags=flags.exclude_tag,
        waitForSelector=flags.wait_for,
        timeoutMs=_milliseconds(flags.page_timeout),
        proxyMode=flags.proxy_mode and _one_of("--proxy-mode", flags.proxy_mode, PROXY_MODES),
        cache=False if flags.no_cache else None,
        extract=_extract(flags),
    ) | dict(_assignment(text) for text in flags.set_ or ())


def _chosen(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value not in (None, [], {})}


def _crawl(flags: JobFlags) -> dict[str, Any]:
    """A crawl needs at least one of the two limits in its body: that is how the server tells it from a scrape."""
    depth = _within("--max-depth", flags.max_depth, MAX_DEPTH[:2])
    pages = _within("--max-pages", flags.max_pages, MAX_PAGES[:2])
    if not flags.crawl:
        if depth or pages:
            raise UsageError("--max-depth and --max-pages belong to a crawl", hint="Add --crawl.")
        return {}
    return {"maxDepth": depth, "maxPages": pages} if depth or pages else {"maxDepth": MAX_DEPTH[2]}


def _extract(flags: PageFlags) -> dict[str, Any]:
    schema = _read_json(flags.extract_schema) if flags.extract_schema else None
    return {key: value for key, value in (("schema", schema), ("prompt", flags.extract_prompt)) if value is not None}


def _webhook(flags: JobFlags, environ: Mapping[str, str]) -> dict[str, Any]:
    if not flags.webhook:
        if flags.webhook_event or flags.webhook_secret_file:
            raise UsageError("--webhook-event and --webhook-secret-file need --webhook URL")
        return {}
    events = [_one_of("--webhook-event", value, WEBHOOK_EVENTS) for value in flags.webhook_event or ()]
    return {
        "url": flags.webhook,
        **({"events": events} if events else {}),
        **({"secret": secret} if (secret := read_secret(flags.webhook_secret_file, environ)) else {}),
    }


def read_secret(file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The webhook secret from `file` or READER_WEBHOOK_SECRET. It never comes from argv (cli: law 6)."""
    secret = environ.get("READER_WEBHOOK_SECRET")
    if file is not None:
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"the webhook secret cannot be read from {file}: {error}") from None
    elif secret == "":
        raise ConfigError("READER_WEBHOOK_SECRET is set but empty", hint="Set it to a secret, or unset it.")
    if secret is not None and not WEBHOOK_SECRET[0] <= len(secret) <= WEBHOOK_SECRET[1]:
        raise UsageError(f"a webhook secret has {WEBHOOK_SECRET[0]} to {WEBHOOK_SECRET[1]} characters")
    return secret


def _milliseconds(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    return _within("--page-timeout in milliseconds", round(seconds * 1000), TIMEOUT_MS[:2])


def _within(name: str, value: int | None, bounds: tuple[int, ...]) -> int | None:
    if value is not None and not bounds[0] <= value <= bounds[1]:
        raise UsageError(f"{name} must be from {bounds[0]:,} to {bounds[1]:,}, not {value:,}")
    return value


def _one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    if value not in allowed:
        raise UsageError(f"{name} {value!r} is none of {', '.join(allowed)}")
    return value


def _assignment(text: str) -> tuple[str, Any]:
    """`key=value` with a JSON value; a value that is no JSON is taken as a string."""
    key, sign, value = text.partition("=")
    if key in ("url", "urls"):
        raise UsageError(f"--set {key}: URLs are given as arguments, or with -f")
    if not sign or not key:
        raise UsageError(f"--set {text!r} is not key=value", hint="--set country='\"de\"' or --set mobile=true")
    try:
        return key, _parse_json(value)
    except ValueError:
        return key, value


def _read_json(path: Path) -> Any:
    try:
        return _parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"--extract-schema {path} cannot be read as JSON: {error}") from None


def _parse_json(text: str | bytes) -> Any:
    """Raises ValueError, also for what Python alone takes for JSON: NaN and the infinities."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
