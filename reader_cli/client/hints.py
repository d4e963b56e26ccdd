"""The next thing to try, for each of the contract's error codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reader_cli.models import ErrorCode

Details = Mapping[str, Any]


def build_hint(code: str, details: Details) -> str:
    """One line; empty for a code that is not known here."""
    return _HINTS[code](details) if code in _HINTS else ""


def _issues(details: Details) -> str:
    issues = details.get("issues")
    told = [_issue(issue) for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    return "; ".join(told[:5]) + (f"; and {len(told) - 5} more" if len(told) > 5 else "")


def _issue(issue: Details) -> str:
    path = issue.get("path", "")
    where = ".".join(str(part) for part in path) if isinstance(path, list) else str(path)
    return f"{where or 'body'}: {issue.get('message', 'invalid')}"


def _credits(details: Details) -> str:
    if "required" not in details:
        return "See what is left: reader credits"
    back = f", more at {details['resetAt']}" if details.get("resetAt") else ""
    return (
        f"It needs {details['required']} credits, {details.get('available', 'too few')} are left{back}: reader credits"
    )


def _blocked(details: Details) -> str:
    return f"{details.get('url', 'The URL')} is not allowed: {details.get('reason', 'not a public address')}"


def _conflict(details: Details) -> str:
    return f"The limit is {details['limit']}; delete one first" if "limit" in details else ""


def _rate(details: Details) -> str:
    seconds = details.get("retryAfterSeconds")
    return f"Try again in {seconds} s" if seconds is not None else "Try again in a minute"


def _active(details: Details) -> str:
    if "max" not in details:
        return "Wait for one of your jobs to end: reader queue"
    return f"{details.get('active', 'All')} of {details['max']} jobs are active; wait for one to end: reader queue"


def _slow(details: Details) -> str:
    timeout = f" (it was {details['timeoutMs']} ms)" if "timeoutMs" in details else ""
    return f"Give the page more time with --page-timeout{timeout}"


def _upstream(details: Details) -> str:
    return "The page's own server did not give it; look at the page, or try again later"


def _server(details: Details) -> str:
    return "The service has a problem; try again in a while"


_HINTS: dict[str, Callable[[Details], str]] = {
    ErrorCode.INVALID_REQUEST: _issues,
    ErrorCode.UNAUTHENTICATED: lambda _: "Check READER_API_KEY, or the profile's api_key in config.toml",
    ErrorCode.INSUFFICIENT_CREDITS: _credits,
    ErrorCode.URL_BLOCKED: _blocked,
    ErrorCode.NOT_FOUND: lambda _: "See what was submitted from here: reader jobs",
    ErrorCode.CONFLICT: _conflict,
    ErrorCode.RATE_LIMITED: _rate,
    ErrorCode.CONCURRENCY_LIMITED: _active,
    ErrorCode.INTERNAL_ERROR: _server,
    ErrorCode.UPSTREAM_UNAVAILABLE: _upstream,
    ErrorCode.SCRAPE_TIMEOUT: _slow,
}
