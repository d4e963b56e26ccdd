"""What a page and a job are read with: POST /v1/read's options after validation."""

from __future__ import annotations

from dataclasses import dataclass

from reader_cli.models import CREDITS_A_PAGE, TIMEOUT_MS, Mode


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Defaults are the contract's. `timeout_ms` is per URL and bounds everything done for it."""

    formats: tuple[str, ...] = ("markdown",)
    only_main_content: bool = True
    include_tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    wait_for_selector: str | None = None
    timeout_ms: int = TIMEOUT_MS[2]
    proxy_mode: str = "standard"
    cache: bool = True

    @property
    def credits(self) -> int:
        """What a page costs that is read, and not found in the cache."""
        return CREDITS_A_PAGE[self.proxy_mode]


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """A webhook of one job. `events` empty: all that a job has."""

    url: str
    events: tuple[str, ...] = ()
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class JobOptions:
    """`concurrency` is the number of the job's pages that are read at a time; depth and pages limit a crawl."""

    read: ReadOptions
    concurrency: int
    max_depth: int
    max_pages: int


@dataclass(frozen=True, slots=True)
class ReadRequest:
    mode: Mode
    urls: tuple[str, ...]
    options: JobOptions
    webhook: WebhookOptions | None = None

    @property
    def most_credits(self) -> int:
        pages = self.options.max_pages if self.mode is Mode.CRAWL else len(self.urls)
        return pages * self.options.read.credits
