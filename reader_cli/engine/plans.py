"""Which page of a job is read next: in the order given, or as a crawl finds them. In memory, rebuilt from items."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from reader_cli.engine.crawl import Candidate, Frontier
from reader_cli.engine.encoding import encode
from reader_cli.engine.pages import Outcome
from reader_cli.engine.results import Ended
from reader_cli.engine.store import Item, State


class Plan(Protocol):
    def take(self) -> Item | None:
        """The next item; None when there is none, or none before a page that is being read has ended."""

    def ended(self, item: Item, outcome: Outcome) -> Ended:
        """What is to be stored. Called once an item, for every item that was taken."""


class BatchPlan:
    def __init__(self, items: Iterable[Item]) -> None:
        self._waiting = deque(item for item in items if item.state == State.WAITING)

    def take(self) -> Item | None:
        return self._waiting.popleft() if self._waiting else None

    def ended(self, item: Item, outcome: Outcome) -> Ended:
        return Ended(item, encode(outcome.page), outcome.problem is not None, outcome.page.get("credits", 0))


class CrawlPlan:
    def __init__(self, frontier: Frontier, items: list[Item]) -> None:
        self._frontier = frontier
        self._items = {_candidate(item): item for item in items}
        self._next = max(item.n for item in items) + 1
        frontier.restore((_candidate(item), _identity(item)) for item in items)

    def take(self) -> Item | None:
        candidate = self._frontier.take()
        return self._items[candidate] if candidate else None

    def ended(self, item: Item, outcome: Outcome) -> Ended:
        identity = outcome.identity or item.url
        fresh = self._frontier.done(_candidate(item), identity)
        links = self._frontier.add(outcome.links, item.depth + 1) if fresh else []
        found = [Item(self._next + offset, link.url, link.depth, outcome.private) for offset, link in enumerate(links)]
        self._next += len(found)
        self._items.update(zip(links, found, strict=True))
        page = encode(outcome.page) if fresh or item.placed else None
        failed, credits = outcome.problem is not None, outcome.page.get("credits", 0)
        return Ended(item, page, failed, credits, identity, found, self._frontier.total)


def _candidate(item: Item) -> Candidate:
    return Candidate(item.url, item.depth)


def _identity(item: Item) -> str | None:
    return None if item.state == State.WAITING else item.identity
