"""The sample site that the engine serves under /demo/, and that `reader demo` reads."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

# Paths below the mount point, as the demo submits them.
URLS: list[str] = ["", "limpets.html"]
BROKEN: list[str] = []

routes: list[BaseRoute] = [Mount("/", StaticFiles(directory=Path(__file__).parent / "pages", html=True))]
