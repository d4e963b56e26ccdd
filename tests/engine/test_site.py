from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
import uvicorn
from page_server import Reader
from selectolax.lexbor import LexborHTMLParser
from starlette.applications import Starlette
from starlette.routing import Mount

from reader_cli.engine.crawl import Frontier
from reader_cli.engine.site import BROKEN, PAGES, URLS, routes


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """Where the site is served, as the engine does it."""
    app = Starlette(routes=[Mount("/demo", routes=routes)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/demo/"
    server.should_exit = True
    thread.join()


def test_every_page_is_read_but_the_broken_one(demo: str, reader: Reader) -> None:
    pages = {path: reader.read(demo + path).page for path in URLS}
    assert [path for path, page in pages.items() if "error" in page] == BROKEN
    assert all(len(page["markdown"]) > 500 for page in pages.values() if "error" not in page)
    assert all("Back to the top" not in page.get("markdown", "") for page in pages.values())
    assert pages["old-alphabets"]["finalUrl"] == f"{demo}alphabets.html"
    assert pages["slow"]["metadata"]["duration"] >= 2000


def test_nothing_of_the_content_is_lost(demo: str, reader: Reader) -> None:
    for file in PAGES.glob("*.html"):
        main = LexborHTMLParser(file.read_text()).css_first("main")
        assert main is not None
        text = reader.read(demo + file.name).page["markdown"]
        assert all(code.text().strip() in text for code in main.css("pre")), file.name
        plain = text.replace("`", "").replace("*", "")
        assert all(cell.text().strip() in plain for cell in main.css("td")), file.name
        assert text.count("```") == 2 * len(main.css("pre"))


def test_a_crawl_finds_all_of_it(demo: str, reader: Reader) -> None:
    frontier = Frontier(demo, max_depth=2, max_pages=50)
    frontier.add([demo], 0)
    read = set()
    while page := frontier.take():
        outcome = reader.read(page.url)
        if frontier.done(page, outcome.identity):
            read.add(page.url)
            frontier.add(outcome.links, page.depth + 1)
    assert read == {urljoin(demo, path) for path in URLS} - {f"{demo}old-alphabets"}
