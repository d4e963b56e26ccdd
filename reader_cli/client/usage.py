"""The usage history, page after page, in flat memory (contract: GET /v1/usage/history)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from reader_cli.client.api import Client
from reader_cli.models import MAX_LIMIT, UsageEntry
from reader_cli.output.text import unix

LIMITED = 600.0  # seconds of waiting that 429s may ask for, over a long history
OVERLAP = 10 * MAX_LIMIT  # entries by whose ids one is known that new ones have pushed to the next page


def iter_usage(client: Client, *, since: float | None = None) -> Iterator[UsageEntry]:
    """Each entry from `since` (unix seconds) on, once, in the server's order. An entry that doesn't say when counts.

    The history is written while it is read. Raises ApiError and Unreachable.
    """
    skip, known = 0, deque[str](maxlen=OVERLAP)
    while True:
        entries, pagination = client.usage_history(skip, MAX_LIMIT, limited=LIMITED)
        wanted = [entry for entry in entries if since is None or _time(entry, since) >= since]
        seen = set(known)
        yield from (entry for entry in wanted if entry.get("id") is None or entry["id"] not in seen)
        known.extend(str(entry.get("id")) for entry in entries)
        skip += len(entries)
        if not entries or pagination.get("hasMore") is not True or (not wanted and _descends(entries)):
            return


def _descends(entries: Sequence[UsageEntry]) -> bool:
    """Whether what comes after `entries` is older still. No order is promised; the newest come first in practice."""
    return _time(entries[0], 0.0) >= _time(entries[-1], 0.0)


def _time(entry: UsageEntry, unknown: float) -> float:
    time = unix(entry.get("createdAt"))
    return unknown if time is None else time
