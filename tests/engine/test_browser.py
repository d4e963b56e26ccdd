"""Pages that need JavaScript, in a real Chromium. Skips, visibly, where there is none."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_server import Engine
from page_server import Loop, Reader, Visitor, Web, answer
from processes import descendants_of, is_running, wait_until

from reader_cli.engine.browser.chromium import has_browser
from reader_cli.engine.options import ReadOptions

needs_browser = pytest.mark.skipif(not has_browser(), reason="needs Chromium and the extra `browser`")
BUILT = "# Ebb\n\nand flow\n"
BUILD = 'document.querySelector("#root").innerHTML = "<main><h1 class=it>Ebb</h1><p>and flow</p></main>";'
STATIC = "<main><h1>Plain</h1><p>nothing moves</p></main>"
NEVER = {"wait_for_selector": "#never"}


def app(script: str) -> str:
    return f"<html lang=en><title>Loading</title><div id=root></div><script>{script}</script></html>"


def later(script: str, milliseconds: int = 200) -> str:
    return f"setTimeout(() => {{{script}}}, {milliseconds});"


@needs_browser
def test_an_empty_shell_is_rendered_without_being_asked(reader: Reader, web: Web) -> None:
    script = 'document.title = "Tides"; document.querySelector("main").innerHTML += "<a href=/next>on</a>"'
    web.page("/", app(later(BUILD + script)))
    outcome = reader.read(f"{web.url}/#/start", proxy_mode="premium")
    assert outcome.page["markdown"] == f"{BUILT}\n[on]({web.url}/next)\n"
    about = outcome.page["metadata"]
    assert (about["title"], about["language"], about["statusCode"]) == ("Tides", "en", 200)
    assert (outcome.page["credits"], outcome.page["statusCode"]) == (3, 200)
    assert outcome.links == [f"{web.url}/next"] and outcome.private
    assert "finalUrl" not in outcome.page and web.hits("/") == 2


@needs_browser
def test_what_needs_no_browser_gets_none(reader: Reader, web: Web) -> None:
    assert reader.read(web.page("/", STATIC + "<script>1</script>")).problem is None
    assert web.hits("/") == 1


@needs_browser
def test_it_waits_for_what_appears_later(reader: Reader, web: Web) -> None:
    page = reader.read(web.page("/", app(later(BUILD, 1500))), wait_for_selector="h1.it").page
    assert page["markdown"] == BUILT
    late = reader.read(web.url, **NEVER, timeout_ms=2000)
    assert late.page["error"].startswith("no element matches #never") and late.problem == "scrape_timeout"
    assert late.page["metadata"]["duration"] < 5000
    assert reader.error(web.url, wait_for_selector="p[") == "not a CSS selector: p["


@needs_browser
def test_a_screenshot_is_a_picture_of_the_whole_page(reader: Reader, web: Web) -> None:
    tall = web.page("/tall", STATIC + "<div style='height: 3000px; background: teal'></div>")
    page = reader.read(tall, formats=("markdown", "screenshot")).page
    width, height = size_of(page["screenshot"])
    assert width == 1280 and 3000 < height < 3300
    assert page["markdown"] == "# Plain\n\nnothing moves\n"
    endless = web.page("/endless", STATIC + "<div style='height: 1000000px'></div>")
    assert size_of(reader.read(endless, formats=("screenshot",)).page["screenshot"]) == (1280, 10_000)
    data = web.page("/data", '{"a": 1}', kind="application/json")
    page = reader.read(data, formats=("markdown", "screenshot")).page
    assert size_of(page["screenshot"])[0] == 1280 and page["markdown"] == '{"a": 1}'


def size_of(png: str) -> tuple[int, int]:
    data = base64.b64decode(png, validate=True)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


@needs_browser
def test_where_a_script_leads_is_the_final_url(reader: Reader, web: Web) -> None:
    web.page("/new", STATIC)
    page = reader.read(web.page("/", app("location = '/new'")), wait_for_selector="main").page
    assert page["finalUrl"] == f"{web.url}/new" and page["url"] == f"{web.url}/"
    own = web.page("/own", app("location = URL.createObjectURL(new Blob(['<p>x'], {type: 'text/html'}))"))
    assert "where nothing answers" in reader.error(own, formats=("screenshot",))
    gone = reader.read(web.page("/lost", app(later("location = '/gone'", 0))))
    assert gone.problem is None  # the empty shell, then
    assert reader.error(f"{web.url}/lost", formats=("screenshot",)).endswith("HTTP 404")


@needs_browser
def test_cookies_of_the_job_are_the_browsers(reader: Reader, loop: Loop, web: Web) -> None:
    from aiohttp import CookieJar

    async def jar() -> CookieJar:
        return CookieJar(unsafe=True)

    web.answers["/"] = answer(app(later(BUILD)), Set_Cookie="who=me")
    reader.read(web.url, cookies=loop.run(jar()), wait_for_selector="h1")
    assert web.visits[-1].target in ("/", "/favicon.ico") and web.visits[1].headers["cookie"] == "who=me"
    reader.read(web.page("/other", STATIC), wait_for_selector="h1")
    assert "cookie" not in web.visits[-1].headers


HARMLESS = {
    "dialogs": "alert(1); confirm(2); prompt(3); onbeforeunload = () => 'stay';" + BUILD,
    "an endless answer": "fetch('/endless');" + BUILD,
    "polling": "setInterval(() => fetch('/poll'), 50);" + BUILD,
    "windows": "for (let i = 0; i < 20; i++) open('/'); print();" + BUILD,
    "a download": "let a = document.createElement('a'); a.download = 'x'; a.href = '/poll'; a.click();" + BUILD,
    "changed functions": "Object.defineProperty(Element.prototype, 'outerHTML', {get: () => 'x'});" + BUILD,
    "a service worker": "navigator.serviceWorker.register('/sw.js');" + BUILD,
}


@needs_browser
@pytest.mark.parametrize("name", HARMLESS)
def test_pages_that_never_rest_are_read_all_the_same(reader: Reader, web: Web, name: str) -> None:
    async def endless(visitor: Visitor) -> None:
        await visitor.write(answer(b"", Content_Length="1000000000"))
        while True:
            await visitor.write(b"more ")
            await asyncio.sleep(0.01)

    web.answers["/endless"] = endless
    web.page("/poll", "x", kind="application/octet-stream")
    web.page("/sw.js", "", kind="text/javascript")
    page = reader.read(web.page("/", app(HARMLESS[name]))).page
    assert page.get("markdown") == BUILT, page
    assert page["metadata"]["duration"] < 15_000


HOSTILE = {
    "a loop": "while (true) {}",
    "a page without end": "while (true) document.body.append('more '.repeat(1000));",
    "too much memory": "const all = []; while (true) all.push(new Array(1e6).fill(all.length));",
    "reloading": "location.reload()",
}


@needs_browser
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scripts_cost_their_own_page(reader: Reader, web: Web, name: str) -> None:
    outcome = reader.read(web.page("/", app(HOSTILE[name])), **NEVER, timeout_ms=5000)
    assert outcome.problem in ("scrape_timeout", "upstream_unavailable"), outcome.page
    assert outcome.page["metadata"]["duration"] < 15_000
    assert reader.read(web.page("/", app(BUILD))).page["markdown"] == BUILT


@needs_browser
@pytest.mark.parametrize("name", ["--type=renderer", "--remote-debugging-pipe", "playwright"])
def test_a_crash_costs_the_pages_that_were_shown(reader: Reader, loop: Loop, web: Web, name: str) -> None:
    """Of the tab, of the whole browser, and of what drives it."""
    assert reader.read(web.page("/", app(BUILD))).page["markdown"] == BUILT
    url = web.page("/waiting", STATIC)

    async def crash() -> str:
        options = ReadOptions(wait_for_selector="#never", timeout_ms=20_000)
        reading = asyncio.create_task(reader.pages.read(url, options, trusted=True))
        while web.hits("/waiting") < 2:
            await asyncio.sleep(0.02)
        for pid in descendants_of(os.getpid(), name):
            os.kill(pid, signal.SIGKILL)
        return (await reading).page["error"]

    assert loop.run(crash()) == "the page crashed the browser"
    assert reader.read(web.url).page["markdown"] == BUILT


@pytest.fixture
def secret(loop: Loop) -> Iterator[Web]:
    """A private server: no visit of it is right."""
    running = Web(loop)
    running.page("/", "<p>private</p>")
    yield running
    running.close()


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        yield listener


@pytest.fixture
def outside(loop: Loop, web: Web, monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> Iterator[Reader]:
    """`web` plays the internet: the proxy of http://*.invalid. `inside.test` is a name of this machine."""
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost,0.0.0.0,[::1],inside.test")
    names["inside.test"] = ["127.0.0.1"]
    running = Reader(loop)
    yield running
    running.close()


PROBE = """
const done = (name) => document.querySelector("#root").append(name + " ");
const there = %s;
for (const [host, port] of there) {
  const url = `http://${host}:${port}/`;
  fetch(url, {mode: "no-cors"}).then(() => done("fetched"), () => done("-"));
  try { new WebSocket(`ws://${host}:${port}/`).onopen = () => done("socket"); } catch {}
  for (const tag of ["iframe", "img", "script", "object"]) {
    const one = document.body.appendChild(document.createElement(tag));
    one[tag == "object" ? "data" : "src"] = url + tag;
  }
  navigator.sendBeacon(url + "beacon", "x");
  open(url + "window");
  new Worker(URL.createObjectURL(new Blob([`fetch("${url}worker", {mode: "no-cors"})`])));
}
fetch("/hop", {mode: "no-cors"}).catch(() => done("-"));
const peer = new RTCPeerConnection({iceServers: [{urls: "stun:127.0.0.1:%d"},
  {urls: "turn:127.0.0.1:%d?transport=tcp", username: "a", credential: "b"}]});
peer.createDataChannel("x");
peer.createOffer().then((offer) => peer.setLocalDescription(offer));
setTimeout(() => document.querySelector("#root").insertAdjacentHTML("beforeend", "<h1>tried</h1>"), 2500);
"""


@needs_browser
def test_a_public_page_reaches_nothing_private(outside: Reader, web: Web, secret: Web, udp: socket.socket) -> None:
    hosts = ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "2130706433", "inside.test"]
    script = PROBE % (json.dumps([[host, secret.port] for host in hosts]), udp.getsockname()[1], secret.port)
    web.answers["http://public.invalid/"] = answer(app(script))
    web.answers["http://public.invalid/hop"] = answer(status=302, Location=f"{secret.url}/hop")
    page = outside.read("http://public.invalid/", wait_for_selector="h1").page
    assert "tried" in page["markdown"] and "fetched" not in page["markdown"] and "socket" not in page["markdown"]
    assert "http://public.invalid/hop" in [visit.target for visit in web.visits]
    assert not secret.visits
    with pytest.raises(BlockingIOError):
        udp.recv(1000)


@needs_browser
def test_a_public_page_does_not_turn_into_a_private_one(outside: Reader, web: Web, secret: Web) -> None:
    for host in ("127.0.0.1", "inside.test"):
        web.answers["http://public.invalid/"] = answer(app(f"location = 'http://{host}:{secret.port}/'"))
        outcome = outside.read("http://public.invalid/", formats=("screenshot",), timeout_ms=8000)
        assert (outcome.problem, outcome.page["error"]) == ("url_blocked", f"{host} is not a public address")
    assert not secret.visits


@needs_browser
def test_a_private_page_reaches_private_pages_alone(outside: Reader, web: Web, secret: Web, udp: socket.socket) -> None:
    web.answers["http://public.invalid/"] = answer("<p>public</p>")
    script = f"fetch('{secret.url}/', {{mode: 'no-cors'}}); fetch('http://public.invalid/', {{mode: 'no-cors'}});"
    page = outside.read(web.page("/", app(script + later(BUILD, 1000))), wait_for_selector="h1").page
    assert page["markdown"] == BUILT
    assert secret.hits("/") == 1
    assert web.hits("http://public.invalid/") == 0


def test_the_gate_is_closed_to_strangers(loop: Loop, secret: Web) -> None:
    from reader_cli.engine.browser.gate import Gate
    from reader_cli.engine.network import Network

    async def ask() -> bytes:
        network = Network()
        gate = Gate(network)
        port = int((await gate.open()).rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {secret.url}/ HTTP/1.1\r\nProxy-Authorization: Basic cGFnZTp4\r\n\r\n".encode())
        told = await reader.read()
        writer.close()
        gate.close()
        await network.close()
        return told

    assert loop.run(ask()).startswith(b"HTTP/1.1 407 ")
    assert not secret.visits


@needs_browser
def test_a_killed_engine_leaves_no_browser(tmp_path: Path, web: Web) -> None:
    # A path that is longer than a socket's name may be would keep Chromium from starting.
    with tempfile.TemporaryDirectory() as short, Engine.start(tmp_path / "data", environ={"TMPDIR": short}) as engine:
        waiting = {"url": web.page("/", STATIC), "waitForSelector": "#never", "maxPages": 1, "timeoutMs": 60_000}
        engine.submit(waiting)
        wait_until(lambda: web.hits("/") >= 2, 40)
        processes = descendants_of(engine.pid)
        assert descendants_of(engine.pid, "--type=renderer")
        engine.kill9()
        wait_until(lambda: not any(map(is_running, processes)))
        wait_until(lambda: not list(Path(short).iterdir()))


@needs_browser
def test_a_browser_without_work_is_stopped(tmp_path: Path, web: Web) -> None:
    prelude = "from reader_cli.engine.browser import rendering; rendering.IDLE_SECONDS = 0.5; rendering.PAGES_EACH = 2"
    with Engine.start(tmp_path / "data", prelude=prelude) as engine:
        assert not descendants_of(engine.pid, "chromium")
        urls = [web.page(f"/{number}", app(BUILD)) for number in range(3)]
        job = engine.wait(engine.submit({"urls": urls}))
        assert job["failed"] == 0 and engine.results(job["id"])[2]["markdown"] == BUILT
        wait_until(lambda: not descendants_of(engine.pid, "chromium"), 40)
        assert engine.post("/v1/read", {"url": urls[0], "cache": False}).json()["data"]["markdown"] == BUILT
        processes = descendants_of(engine.pid)
        assert engine.stop() == 0
    wait_until(lambda: not any(map(is_running, processes)))


@needs_browser
def test_a_crawl_follows_links_that_scripts_made(engine: Engine, web: Web) -> None:
    link = 'document.querySelector("#root").innerHTML = "<a href=/two>two</a>";'
    web.page("/", app(later(link)))
    web.page("/two", STATIC)
    job = engine.wait(engine.submit({"url": f"{web.url}/", "maxDepth": 2}))
    assert (job["total"], job["failed"]) == (2, 0)


@pytest.fixture(params=["playwright", "Chromium"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "playwright":
        monkeypatch.setitem(sys.modules, "playwright", None)
        return "pip install 'reader-cli[browser]'"
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("reader_cli.engine.browser.chromium.MAC", ())
    return "apt install chromium"


@pytest.mark.parametrize("options", [{"formats": ("screenshot",)}, {"wait_for_selector": "#x"}])
def test_without_a_browser_the_error_says_what_to_install(
    reader: Reader, web: Web, without: str, options: dict[str, Any]
) -> None:
    outcome = reader.read(web.page("/", STATIC), **options)
    assert without in outcome.page["error"] and outcome.problem == "invalid_request"
    assert not web.visits


def test_without_a_browser_ordinary_pages_are_pages(reader: Reader, web: Web, without: str) -> None:
    assert reader.error(web.page("/", STATIC)) == ""
    assert reader.error(web.page("/app", app(BUILD))) == ""
    assert web.hits("/app") == 1


def test_a_chromium_that_does_not_start_is_told(
    loop: Loop, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("playwright")
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    fresh = Reader(loop)
    try:
        assert fresh.error(web.page("/", STATIC), **NEVER).startswith("Chromium did not start")
        assert fresh.error(web.url) == ""
    finally:
        fresh.close()
