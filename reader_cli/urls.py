"""URLs that may be anything: a server sends them, or somebody types them."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_url(url: str) -> SplitResult:
    """All parts empty where it is no URL, be it for its port alone: no attribute of the answer raises ValueError."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts
