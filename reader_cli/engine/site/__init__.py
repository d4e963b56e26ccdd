"""The sample site: about a dozen pages on writing systems, which the engine serves under /demo/ without a key.

Three addresses behave like the real web on purpose: one has moved, one is slow, one always fails.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

MOUNT = "/demo"
PAGES = Path(__file__).parent / "pages"
SLOW_SECONDS = 2.0

# Paths below the mount point: what the demo reads, and which of it fails.
URLS = [
    "",
    "alphabets.html",
    "abjads.html",
    "abugidas.html",
    "syllabaries.html",
    "hangul.html",
    "han.html",
    "numerals.html",
    "unicode.html",
    "decipherment.html",
    "glossary.html",
    "old-alphabets",
    "slow",
    "broken",
]
BROKEN = ["broken"]


async def _moved(request: Request) -> Response:
    return RedirectResponse("alphabets.html", 301)


async def _slow(request: Request) -> Response:
    await asyncio.sleep(SLOW_SECONDS)
    return FileResponse(PAGES / "copyist.html")


async def _broken(request: Request) -> Response:
    return HTMLResponse("<h1>The library has burnt down</h1>", 500)


# To be mounted at a path that ends in no slash: its pages link to one another by relative addresses.
routes: list[BaseRoute] = [
    Route("/old-alphabets", _moved),
    Route("/slow", _slow),
    Route("/broken", _broken),
    Mount("/", StaticFiles(directory=PAGES, html=True)),
]
