"""One page in a browser context: going there, waiting until it is ready, and taking what is there.

Everything raises playwright's Error; the caller bounds the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reader_cli.engine.browser.chromium import WINDOW
from reader_cli.engine.fetch import MOST_BYTES

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page, Response

SETTLE_SECONDS = 5.0  # for a page to become quiet: some poll for ever, and are read as they are then
MOST_HEIGHT = 10_000  # CSS pixels of a screenshot; longer pages are cut
MOST_PNG = 10 << 20  # bytes; a larger screenshot is made again, of the first window only
WEB = ("http://", "https://")
DOCUMENT = """(() => {
  const kind = document.doctype ? "<!DOCTYPE html>" : "", root = document.documentElement;
  const text = root ? kind + root.outerHTML : "";
  return text.length > %d ? null : text;
})()"""


@dataclass(frozen=True, slots=True)
class Shown:
    """`url` is where the browser ended; `status` None: no HTTP answer; `html` None: larger than a page may be."""

    url: str
    status: int | None
    html: str | None
    png: bytes | None


async def show(context: BrowserContext, url: str, *, wait_for: str | None, picture: bool, seconds: float) -> Shown:
    """`wait_for` is a CSS selector of an element that must be there; without one, the page's network must be quiet."""
    page = await context.new_page()
    context.on("page", lambda popup: popup.close())
    answers: list[int] = []
    page.on("response", lambda response: answers.append(response.status) if _is_document(response) else None)
    await page.goto(url, wait_until="commit")
    if wait_for is not None:
        await page.wait_for_selector(f"css={wait_for}", state="attached")
    else:
        await _settle(page, min(SETTLE_SECONDS, seconds / 2))
    html = await _document(context, page)
    png = await _picture(page) if picture else None
    return Shown(page.url, answers[-1] if answers else None, html, png)


def _is_document(response: Response) -> bool:
    """Whether it is the page's own, and not a frame's or a part's."""
    request = response.request
    return request.is_navigation_request() and request.frame.parent_frame is None


async def _settle(page: Page, seconds: float) -> None:
    from playwright.async_api import TimeoutError as Late

    try:
        await page.wait_for_load_state("networkidle", timeout=seconds * 1000)
    except Late:
        pass


async def _document(context: BrowserContext, page: Page) -> str | None:
    """Asked in a JavaScript world of our own, where the page has changed no function."""
    session = await context.new_cdp_session(page)
    tree: Any = await session.send("Page.getFrameTree")
    frame = {"frameId": tree["frameTree"]["frame"]["id"]}
    world: Any = await session.send("Page.createIsolatedWorld", frame)
    asked = {"expression": DOCUMENT % MOST_BYTES, "contextId": world["executionContextId"], "returnByValue": True}
    answer: Any = await session.send("Runtime.evaluate", asked)
    text: str | None = answer["result"].get("value")
    return text


async def _picture(page: Page) -> bytes:
    clip: Any = {"x": 0, "y": 0, "width": WINDOW[0], "height": MOST_HEIGHT}
    png = await page.screenshot(full_page=True, clip=clip, animations="disabled")
    return png if len(png) <= MOST_PNG else await page.screenshot(animations="disabled")
