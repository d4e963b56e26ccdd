"""Which pages a crawl reads, and in which order: same host, breadth first, exact limits. No I/O."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

LONGEST = 2000  # characters of a URL; longer ones are made by loops
REPEATS = 3  # how often one path may hold the same segment; a/b/a/b/a/b/a is a loop
SHAPES_AT_LEAST = 50  # pages of one shape that are no trap in any crawl
SPARE = 1000  # candidates kept beyond the limit of pages

# Query parameters that say who is looking or where they came from, not which page it is.
NOT_THE_PAGE = re.compile(r"utm_\w+|gclid|fbclid|msclkid|mc_[ce]id|phpsessid|jsessionid|sid|session_?id", re.IGNORECASE)
SESSION_IN_PATH = re.compile(r";jsessionid=[^/;]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A page that the crawl knows of. `depth` counts the links from the start page, which has 0."""

    url: str
    depth: int


@lru_cache(maxsize=10_000)
def normalise(url: str) -> str:
    """One spelling for all URLs that name one page, to compare and never to fetch.

    Case, default port, dot segments and escapes as RFC 3986 (6.2) has it; without fragment, session ids and tracking
    parameters, with the other parameters sorted. Raises ValueError for what is no http or https URL.
    """
    parsed = URL(url.strip())
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"not an http or https URL: {url}")
    path = re.sub("/{2,}", "/", SESSION_IN_PATH.sub("", parsed.raw_path)) or "/"
    query = sorted((name, value) for name, value in parsed.query.items() if not NOT_THE_PAGE.fullmatch(name))
    return str(parsed.origin().with_path(path, encoded=True).with_query(query))


def identity(url: str, canonical: str | None) -> str:
    """The URL that a page goes by: its canonical link, if that can be believed, or the one it was found at.

    Sites that give their start page as the canonical of every page are common, and a foreign one names another page.
    """
    if canonical and _site(canonical) == _site(url) and URL(canonical).path_qs != "/":
        return canonical
    return url


class Frontier:
    """The candidates of one crawl, in memory; the caller stores them and the identities of those that ended.

    `add([start], 0)` begins a crawl, `restore` resumes one. `take` gives the next page to read, `done` ends it, `add`
    takes up the links that it held. More candidates than `max_pages` are kept, because some turn out to be duplicates;
    `total` never counts more than will be read. `allows` is robots.txt's word on a URL.
    """

    def __init__(
        self, start: str, *, max_depth: int, max_pages: int, allows: Callable[[str], bool] = lambda url: True
    ) -> None:
        self._site = _site(start)
        self._max_depth = max_depth
        self._max_pages = max_pages
        self._allows = allows
        self._known: set[str] = set()
        self._shapes: Counter[str] = Counter()
        self._waiting: OrderedDict[str, Candidate] = OrderedDict()
        self._suspected: OrderedDict[str, Candidate] = (
            OrderedDict()
        )  # of a trap: read when their depth has nothing else
        self._reading: Counter[int] = Counter()  # by depth
        self._read: set[str] = set()

    @property
    def total(self) -> int:
        """Pages that were read, are being read, or will be."""
        return min(self._max_pages, len(self._read) + self._reading.total() + len(self._waiting) + len(self._suspected))

    def add(self, links: Iterable[str], depth: int) -> list[Candidate]:
        """Takes up the links of a page (of `depth` - 1) that are new and may be read; returns them, in order."""
        if depth > self._max_depth:
            return []
        new = []
        for link in links:
            name = _name(link)
            if name and name not in self._known and (depth == 0 or self._may_follow(link, name)):
                new.append(Candidate(link.partition("#")[0], depth))
                self._expect(name, new[-1])
        return new

    def restore(self, stored: Iterable[tuple[Candidate, str | None]]) -> None:
        """Resumes from what was stored: each candidate in its order, with its identity if it ended (duplicates too)."""
        ended = []
        for page, identity in stored:
            self._expect(normalise(page.url), page)
            if identity is not None:
                ended.append((page, identity))
        for page, identity in ended:
            self._forget(normalise(page.url))
            self._reading[page.depth] += 1
            self.done(page, identity)

    def take(self) -> Candidate | None:
        """The next page to read; None while a shallower page is still being read, or when there is nothing left.

        Waiting for each depth to end is what keeps depths exact: no page is first found by a longer way.
        """
        heads = [next(iter(pages.items())) for pages in (self._waiting, self._suspected) if pages]
        if not heads or len(self._read) + self._reading.total() >= self._max_pages:
            return None
        name, page = min(heads, key=lambda head: head[1].depth)
        if any(self._reading[depth] for depth in range(page.depth)):
            return None
        self._forget(name)
        self._reading[page.depth] += 1
        return page

    def done(self, page: Candidate, identity: str | None = None) -> bool:
        """Ends a page that `take` gave; `identity` is Outcome.identity.

        False means that the page is to be left out of the results: it was read before under another URL, or a redirect
        led away from the site.
        """
        self._reading[page.depth] -= 1
        name = _name(identity or page.url) or normalise(page.url)
        if name in self._read or (page.depth > 0 and _site(name) != self._site):
            return False
        self._read.add(name)
        self._known.add(name)
        self._forget(name)
        return True

    def _may_follow(self, link: str, name: str) -> bool:
        segments = Counter(filter(None, URL(name).raw_parts[1:]))
        return (
            _site(name) == self._site
            and len(link) <= LONGEST
            and max(segments.values(), default=0) <= REPEATS
            and len(self._queue(name)) < self._max_pages + SPARE
            and self._allows(link)
        )

    def _queue(self, name: str) -> OrderedDict[str, Candidate]:
        is_trap = self._shapes[_shape(name)] >= max(SHAPES_AT_LEAST, self._max_pages // 2)
        return self._suspected if is_trap else self._waiting

    def _expect(self, name: str, page: Candidate) -> None:
        self._queue(name)[name] = page
        self._known.add(name)
        self._shapes[_shape(name)] += 1

    def _forget(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._suspected.pop(name, None)


def _name(link: str) -> str | None:
    try:
        return normalise(link)
    except ValueError:
        return None


def _site(url: str) -> str:
    """The hostname; a site is the same with and without www, for one redirects to the other. "" for what is no URL."""
    try:
        return (URL(url).host or "").removeprefix("www.")
    except ValueError:
        return ""


def _shape(name: str) -> str:
    """What URLs that differ in numbers and parameters have in common: the pages of a calendar, or of a list."""
    parsed = URL(name)
    return re.sub(r"\d+", "0", parsed.raw_path) + "?" + "&".join(parsed.query)
