"""Which pages a crawl reads, and in which order: same host, breadth first, exact limits. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from yarl import URL


@dataclass(frozen=True, slots=True)
class Candidate:
    """A page that the crawl knows of. `depth` counts the links from the start page, which has 0."""

    url: str
    depth: int


def normalise(url: str) -> str:
    """One spelling for the URLs that name one page: no fragment, no default port, a path.

    Raises ValueError for what is no http or https URL.
    """
    parsed = URL(url.strip())
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"not an http or https URL: {url}")
    return str(parsed.with_fragment(None).with_path(parsed.path or "/", keep_query=True))


class Frontier:
    """The candidates of one crawl, in memory; the caller stores them and the identities of those that ended.

    `add([start], 0)` begins a crawl, `restore` resumes one. `take` gives the next page to read, `done` ends it, `add`
    takes up the links that it held. More candidates than `max_pages` are kept, because some turn out to be duplicates;
    `total` never counts more than will be read.
    """

    def __init__(
        self, start: str, *, max_depth: int, max_pages: int, allows: Callable[[str], bool] = lambda url: True
    ) -> None:
        self._host = URL(start).host
        self._max_depth = max_depth
        self._max_pages = max_pages
        self._allows = allows
        self._known: set[str] = set()
        self._waiting: list[Candidate] = []
        self._reading: set[Candidate] = set()
        self._read: set[str] = set()
        self._finished = 0

    @property
    def total(self) -> int:
        """Pages that were read, are being read, or will be."""
        return min(self._max_pages, self._finished + len(self._reading) + len(self._waiting))

    def add(self, links: Iterable[str], depth: int) -> list[Candidate]:
        """Takes up the links of a page (at `depth`-1) that are new and allowed; returns them in order."""
        new = []
        for link in links:
            try:
                url = normalise(link)
            except ValueError:
                continue
            if depth > self._max_depth or url in self._known or URL(url).host != self._host:
                continue
            if depth > 0 and not self._allows(url):  # the start page was asked for by name
                continue
            self._known.add(url)
            new.append(Candidate(url, depth))
        self._waiting += new
        return new

    def restore(self, stored: Iterable[tuple[Candidate, str | None]]) -> None:
        """Resumes from what was stored: each candidate in its order, with its identity if it ended (duplicates too)."""
        for page, identity in stored:
            self._known.add(page.url)
            if identity is None:
                self._waiting.append(page)
            else:
                self.done(page, identity)

    def take(self) -> Candidate | None:
        """The next page to read; None while a shallower page is still being read, or when there is nothing left."""
        if not self._waiting or self._finished + len(self._reading) >= self._max_pages:
            return None
        if any(page.depth < self._waiting[0].depth for page in self._reading):
            return None
        page = self._waiting.pop(0)
        self._reading.add(page)
        return page

    def done(self, page: Candidate, identity: str | None = None) -> bool:
        """Ends a page that `take` gave. `identity` is Outcome.identity; False means that this page was read before
        under another URL: it is to be left out of the results."""
        self._reading.discard(page)
        name = identity or page.url
        if name in self._read:
            return False
        self._read.add(name)
        self._known.add(name)
        self._finished += 1
        return True
