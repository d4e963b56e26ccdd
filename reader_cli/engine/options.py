"""What one page is read with: POST /v1/read's options after validation."""

from __future__ import annotations

from dataclasses import dataclass

from reader_cli.models import TIMEOUT_MS


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
