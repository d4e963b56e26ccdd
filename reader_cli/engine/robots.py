"""What a site's robots.txt allows (RFC 9309)."""

from __future__ import annotations

from protego import Protego
from yarl import URL

from reader_cli.engine.faults import PageFault
from reader_cli.engine.fetch import USER_AGENT, Fetcher

SECONDS = 10.0  # for the file; a site that takes longer is taken for one without rules
MOST_BYTES = 512_000  # that are parsed
NOTHING = "User-agent: *\nDisallow: /"
AGENT = USER_AGENT.partition("/")[0]


class Robots:
    """The rules of one site; `text` is its robots.txt."""

    def __init__(self, text: str = "") -> None:
        self._rules = Protego.parse(text)

    def allows(self, url: str) -> bool:
        return bool(self._rules.can_fetch(url, AGENT))

    @property
    def crawl_delay(self) -> float:
        """Seconds between two requests."""
        return float(self._rules.crawl_delay(AGENT) or 0)


async def robots_of(fetcher: Fetcher, url: str, *, trusted: bool) -> Robots:
    """A missing file allows everything; one that the server fails to give allows nothing (RFC 9309, 2.3.1)."""
    where = str(URL(url).origin() / "robots.txt")
    try:
        found = await fetcher.get(where, seconds=SECONDS, trusted=trusted)
    except PageFault as fault:
        return Robots(NOTHING if fault.status and fault.status >= 500 else "")
    robots = Robots(found.body[:MOST_BYTES].decode("utf-8", "replace") if found.kind == "text" else "")
    if robots.crawl_delay:
        fetcher.space(URL(url).host or "", robots.crawl_delay)
    return robots
