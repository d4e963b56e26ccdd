"""The Chromium process: where it is, how it is started, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reader_cli.engine.browser.gate import USER
from reader_cli.engine.faults import PageFault
from reader_cli.engine.fetch import USER_AGENT
from reader_cli.models import ErrorCode

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
LAUNCH_SECONDS = 30.0
WINDOW = (1280, 800)  # CSS pixels
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-extensions",
    "--disable-gpu",
    "--no-pings",
    "--js-flags=--max-old-space-size=512",  # MB
    # What does not go through a proxy could go anywhere: QUIC, WebRTC's UDP, and look-ups of names.
    "--disable-quic",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",  # its name in older versions
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    """The system's Chromium or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None) or next(
        (name for name in MAC if Path(name).exists()), None
    )


def missing_parts() -> str:
    """What has to be installed before a browser can be used, "" for nothing."""
    parts = []
    if importlib.util.find_spec("playwright") is None:
        parts.append("pip install 'reader-cli[browser]'")
    if find_chromium() is None:
        parts.append("install Chromium (on Debian: apt install chromium)")
    return " and ".join(parts)


def has_browser() -> bool:
    return not missing_parts()


def require_browser() -> None:
    """Raises PageFault, which says what to install."""
    if remedy := missing_parts():
        raise PageFault(ErrorCode.INVALID_REQUEST, f"screenshot and waitForSelector need a browser: {remedy}")


@dataclass
class Chromium:
    """One process, and Playwright's driver, which ends it when the engine is gone, however that ended."""

    _playwright: Playwright
    _browser: Browser
    pages_left: int
    pages_open: int = 0

    @classmethod
    async def launch(cls, gate: str, pages: int) -> Chromium:
        """Raises playwright's Error. What Chromium itself wants from the network ends at the gate."""
        from playwright.async_api import async_playwright

        playwright = await async_playwright().start()
        try:
            browser = await playwright.chromium.launch(
                executable_path=find_chromium(),
                args=FLAGS,
                proxy={"server": gate},
                chromium_sandbox=os.geteuid() != 0,  # Chromium refuses to run as root with one
                timeout=LAUNCH_SECONDS * 1000,
            )
        except BaseException:
            await playwright.stop()
            raise
        return cls(playwright, browser, pages)

    @property
    def usable(self) -> bool:
        return self.pages_left > 0 and self._browser.is_connected()

    async def context(self, gate: str, password: str) -> BrowserContext:
        """As private as a window of its own: no cookies, storage or cache that another page left."""
        return await self._browser.new_context(
            proxy={"server": gate, "username": USER, "password": password},
            user_agent=f"Mozilla/5.0 (compatible; {USER_AGENT}) Chrome/{self._browser.version}",
            viewport={"width": WINDOW[0], "height": WINDOW[1]},
            accept_downloads=False,
            service_workers="block",
        )

    async def close(self, seconds: float) -> None:
        """A browser that has not closed by then is killed with the driver."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(seconds):
                await self._browser.close()
        await self._playwright.stop()
