"""The wire's shapes and limits, once, for the client and the engine (contract: jobs, POST /v1/read, error codes).

Shapes are `TypedDict`s: what came off the wire is passed on as it was, unknown keys included.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, TypedDict


class Status(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = frozenset({Status.QUEUED, Status.PROCESSING})
TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Mode(StrEnum):
    SCRAPE = "scrape"
    BATCH = "batch"
    CRAWL = "crawl"


class ErrorCode(StrEnum):
    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    URL_BLOCKED = "url_blocked"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    CONCURRENCY_LIMITED = "concurrency_limited"
    INTERNAL_ERROR = "internal_error"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    SCRAPE_TIMEOUT = "scrape_timeout"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.INSUFFICIENT_CREDITS: 402,
    ErrorCode.URL_BLOCKED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.CONCURRENCY_LIMITED: 429,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.UPSTREAM_UNAVAILABLE: 502,
    ErrorCode.SCRAPE_TIMEOUT: 504,
}

DEFAULT_BASE_URL = "https://api.reader.dev"
KEY_HEADER = "x-api-key"
IDEMPOTENCY_HEADER = "x-idempotency-key"
REQUEST_ID_HEADER = "x-request-id"

MAX_URLS = 1000  # in one batch
MAX_LIMIT = 100  # pages in one answer of GET /v1/jobs/{id}
DEFAULT_LIMIT = 20
PING_SECONDS = 30.0  # a stream's keep-alive
IDEMPOTENCY_HOURS = 24
CREDITS_A_PAGE = {"standard": 1, "auto": 3, "premium": 3, "stealth": 3}  # by proxy mode; what `auto` costs at most

Format = Literal["markdown", "html", "screenshot"]
FORMATS: tuple[Format, ...] = ("markdown", "html", "screenshot")
PROXY_MODES = ("standard", "premium", "stealth", "auto")
TIMEOUT_MS = (1000, 120_000, 30_000)  # least, most, default; per URL
MAX_DEPTH = (1, 10, 2)
MAX_PAGES = (1, 10_000, 20)
BATCH_CONCURRENCY = (1, 20)


class Tier(StrEnum):
    """Of the hosted service."""

    FREE = "free"
    PRO = "pro"
    BUSINESS = "business"
    ENTERPRISE = "enterprise"


# Requests a minute and active jobs (contract: limits).
TIERS = {Tier.FREE: (10, 2), Tier.PRO: (60, 10), Tier.BUSINESS: (200, 50), Tier.ENTERPRISE: (1000, 200)}


class WebhookEvent(StrEnum):
    STARTED = "job.started"
    PAGE = "job.page"
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CREDIT_LOW = "credit.low"


WEBHOOK_EVENTS: tuple[str, ...] = tuple(WebhookEvent)
MAX_WEBHOOKS = 10  # of a workspace
WEBHOOK_NAME = (1, 100)  # characters
WEBHOOK_SECRET = (16, 256)  # characters


class Page(TypedDict, total=False):
    """One entry of a job's `results`, and the `data` of a synchronous scrape. With `error` it is a page that failed."""

    url: str
    finalUrl: str
    markdown: str
    html: str
    screenshot: str
    extracted: Any
    statusCode: int
    proxyMode: str
    credits: int
    metadata: dict[str, Any]
    error: str


class JobSummary(TypedDict, total=False):
    """`data` of the 201 that starts a job."""

    id: str
    status: str
    mode: str
    total: int
    completed: int
    creditsUsed: int
    createdAt: str


class Job(JobSummary, total=False):
    """`data` of GET /v1/jobs/{id}. `failed` is sent by the engine only."""

    failed: int
    error: str | None
    results: list[Page]
    startedAt: str | None
    completedAt: str | None


class UsageEntry(TypedDict, total=False):
    """One page that was read, of GET /v1/usage/history. `duration` is in milliseconds."""

    id: str
    url: str
    duration: int
    status: Literal["success", "error"]
    cached: bool
    proxyMode: str
    credits: int
    error: str | None
    createdAt: str


class Credits(TypedDict):
    """GET /v1/usage/credits."""

    balance: int
    limit: int
    used: int
    tier: str
    resetAt: str


class Queue(TypedDict):
    """GET /v1/queue/status."""

    activeJobs: int
    waitingJobs: int
    maxConcurrency: int


class Pagination(TypedDict, total=False):
    total: int
    skip: int
    limit: int
    hasMore: bool
    next: str


class DeliveryStats(TypedDict):
    """`lastDeliveryStatus` is an HTTP status, None where nothing answered."""

    totalAttempts: int
    failedDeliveries: int
    lastDeliveryAt: str | None
    lastDeliveryStatus: int | None


class Webhook(TypedDict):
    """The secret is no part of it: it is shown once, beside it, in the answer that made it."""

    id: str
    url: str
    name: str
    events: list[str]
    headers: dict[str, str]
    active: bool
    deliveryStats: DeliveryStats
    createdAt: str
    updatedAt: str
