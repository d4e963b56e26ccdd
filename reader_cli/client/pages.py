"""A job's results as JSON lines: those that are there, and those that are still to come (cli: results)."""

from __future__ import annotations

from collections.abc import Iterator

from reader_cli.client.api import Client
from reader_cli.client.ledger import Outcome
from reader_cli.client.readahead import iter_pages
from reader_cli.client.watch import WatchOptions, watch_outcomes
from reader_cli.events import Event

__all__ = ["follow_pages", "iter_pages"]


def follow_pages(client: Client, job_id: str, options: WatchOptions) -> Iterator[bytes | Event]:
    """Each page as a JSON line, as it finishes, once, between the events of the watch; the last is the job's Done.
    Raises as `watch_jobs` does."""
    for item in watch_outcomes(client, [job_id], options, every_page=True):
        yield item.line() if isinstance(item, Outcome) else item
