from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_server import Reader, Web

from reader_cli.engine.crawl import Candidate, Frontier, identity, normalise

SITE = "http://site.test/"
Graph = dict[int, list[int]]


def graphs() -> st.SearchStrategy[Graph]:
    """Pages by number with their links; 0 is the start."""
    page = st.integers(0, 14)
    return st.dictionaries(page, st.lists(page, max_size=6), max_size=15)


def depths_of(graph: Graph) -> dict[int, int]:
    found, queue = {0: 0}, deque([0])
    while queue:
        page = queue.popleft()
        for link in graph.get(page, []):
            if link not in found:
                found[link] = found[page] + 1
                queue.append(link)
    return found


class Crawl:
    """A crawl without a network: what a job would store is in `stored`, and a crash loses all the rest."""

    def __init__(self, graph: Graph, max_depth: int, max_pages: int, random: Random) -> None:
        self._graph, self._limits, self._random = graph, {"max_depth": max_depth, "max_pages": max_pages}, random
        self.stored: dict[Candidate, str | None] = {Candidate(SITE, 0): None}
        self._crash()

    def _crash(self) -> None:
        self.frontier = Frontier(SITE, **self._limits)
        self.frontier.restore(self.stored.items())
        self._reading: list[Candidate] = []

    def run(self) -> None:
        while self._step():
            if self._random.random() < 0.2:
                self._crash()

    def _step(self) -> bool:
        while len(self._reading) < 3 and (page := self.frontier.take()):
            self._reading.append(page)
        if not self._reading:
            return False
        page = self._reading.pop(self._random.randrange(len(self._reading)))
        assert self.frontier.done(page, page.url)
        number = int(page.url.removeprefix(SITE) or 0)
        found = self.frontier.add([f"{SITE}{link or ''}" for link in self._graph.get(number, [])], page.depth + 1)
        self.stored |= {page: page.url} | dict.fromkeys(found)
        return True


@given(graphs(), st.integers(1, 4), st.integers(1, 15), st.randoms(use_true_random=False))
def test_depth_and_limits_are_exact_through_crashes(graph: Graph, depth: int, pages: int, random: Random) -> None:
    crawl = Crawl(graph, depth, pages, random)
    crawl.run()
    read = {int(page.url.removeprefix(SITE) or 0): page.depth for page, ended in crawl.stored.items() if ended}
    truth = depths_of(graph)
    reachable = [page for page, distance in truth.items() if distance <= depth]
    assert all(truth[page] == distance for page, distance in read.items())
    assert len(read) == crawl.frontier.total == min(pages, len(reachable))
    left_out = [truth[page] for page in reachable if page not in read]
    assert not left_out or min(left_out) >= max(read.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://Site.test:80", "http://site.test/"),
        ("http://site.test/a/../b#part", "http://site.test/b"),
        ("http://site.test/%7euser", "http://site.test/~user"),
        ("http://site.test/?b=2&a=1", "http://site.test/?a=1&b=2"),
        ("http://site.test/a?utm_source=x&id=1&PHPSESSID=77", "http://site.test/a?id=1"),
        ("http://site.test/a;jsessionid=F00?x=1", "http://site.test/a?x=1"),
        ("http://site.test//a///b", "http://site.test/a/b"),
        ("http://bücher.test/", "http://xn--bcher-kva.test/"),
    ],
)
def test_spellings_of_one_page(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    "other", ["https://site.test/", "http://site.test/A", "http://site.test/a?id=1", "http://site.test/a/"]
)
def test_pages_that_are_not_the_same(other: str) -> None:
    assert normalise(other) not in (normalise("http://site.test/"), normalise("http://site.test/a"))


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_normalising_twice_changes_nothing(path: str, query: dict[str, str]) -> None:
    from yarl import URL

    name = normalise(str(URL(SITE).joinpath(path.replace("/", "_")).with_query(query)))
    assert normalise(name) == name


def crawled(frontier: Frontier, links_of: dict[str, list[str]], start: str = SITE) -> list[str]:
    frontier.add([start], 0)
    read = []
    while page := frontier.take():
        if frontier.done(page, page.url):
            read.append(page.url)
            frontier.add(links_of.get(page.url, []), page.depth + 1)
    return read


def test_only_the_site_itself_is_read() -> None:
    links = [
        "/a",
        "http://www.site.test/b",
        "http://other.test/",
        "http://sub.site.test/",
        "mailto:x@site.test",
        "http://[",
    ]
    found = [link if "//" in link or ":" in link else f"http://site.test{link}" for link in links]
    read = crawled(Frontier(SITE, max_depth=1, max_pages=20), {SITE: found})
    assert read == [SITE, "http://site.test/a", "http://www.site.test/b"]


def test_a_page_that_goes_by_another_name_is_read_once() -> None:
    frontier = Frontier(SITE, max_depth=1, max_pages=3)
    frontier.add([SITE], 0)
    assert frontier.done(frontier.take() or pytest.fail(), SITE)
    frontier.add([f"{SITE}{name}" for name in ("old", "new", "away", "last")], 1)
    old, new = frontier.take(), frontier.take()
    assert old and new
    assert frontier.done(old, f"{SITE}new")
    assert not frontier.done(new, f"{SITE}new")
    away = frontier.take()
    assert away
    assert not frontier.done(away, "http://other.test/")
    assert frontier.take() == Candidate(f"{SITE}last", 1)
    assert frontier.total == 3


@pytest.mark.parametrize(
    ("canonical", "name"),
    [
        (None, f"{SITE}a?print=1"),
        (f"{SITE}a", f"{SITE}a"),
        (SITE, f"{SITE}a?print=1"),
        ("http://elsewhere.test/a", f"{SITE}a?print=1"),
        ("http://[", f"{SITE}a?print=1"),
    ],
)
def test_canonical_links_are_believed_within_reason(canonical: str | None, name: str) -> None:
    assert identity(f"{SITE}a?print=1", canonical) == name


def test_traps_are_bounded() -> None:
    """A calendar without end, a path that eats itself and sessions in links leave room for the real pages."""
    calendar = [f"{SITE}calendar/{year}/{month}" for year in range(1000) for month in range(12)]
    loops = [f"{SITE}{'a/b/' * count}" for count in range(1, 50)]
    sessions = [f"{SITE}shop?sid={number}" for number in range(500)]
    real = [f"{SITE}{name}" for name in ("about", "contact", "news")]
    read = crawled(Frontier(SITE, max_depth=1, max_pages=200), {SITE: calendar + loops + sessions + real})
    assert set(real) < set(read[:150]) and len(read) == 200
    assert sum("a/b" in url for url in read) == 3
    assert sum("shop" in url for url in read) == 1


def test_a_site_of_numbered_pages_is_read_whole() -> None:
    posts = [f"{SITE}post/{number}" for number in range(400)]
    read = crawled(Frontier(SITE, max_depth=1, max_pages=400), {SITE: [*posts, f"{SITE}about"]})
    assert read[:202] == [SITE, *posts[:200], f"{SITE}about"], "the page that differs comes before the many"
    assert read[202:] == posts[200:398]


ROBOTS = """
User-agent: *
Disallow: /private/
Disallow: /*.pdf$
Allow: /private/open
Crawl-delay: 0.2
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/", True), ("/private/x", False), ("/private/open", True), ("/a/b.pdf", False), ("/a/b.pdfs", True)],
)
def test_robots_txt(reader: Reader, web: Web, path: str, allowed: bool) -> None:
    web.page("/robots.txt", ROBOTS, kind="text/plain")
    assert reader.robots(f"{web.url}/deep/page").allows(web.url + path) is allowed


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (500, False), (503, False)])
def test_a_robots_txt_that_cannot_be_had(reader: Reader, web: Web, status: int, allowed: bool) -> None:
    web.page("/robots.txt", "", status=status)
    assert reader.robots(web.url).allows(f"{web.url}/a") is allowed


def test_the_start_page_was_asked_for_by_name() -> None:
    frontier = Frontier(SITE, max_depth=1, max_pages=9, allows=lambda url: False)
    assert crawled(frontier, {SITE: [f"{SITE}a"]}) == [SITE]
