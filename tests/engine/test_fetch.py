from __future__ import annotations

import asyncio
import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_server import Loop, Reader, Visitor, Web, answer

from reader_cli import __version__
from reader_cli.engine.charset import decode


def test_redirects_lead_to_the_page_and_its_final_url(reader: Reader, web: Web) -> None:
    web.answers["/old"] = answer(status=301, Location="sub/older")
    web.answers["/sub/older"] = answer(status=307, Location="/new?é=ü")
    web.page("/new?%C3%A9=%C3%BC", "<p>arrived</p>")
    page = reader.read(f"{web.url}/old").page
    assert page["markdown"].strip() == "arrived"
    assert (page["url"], page["finalUrl"]) == (f"{web.url}/old", f"{web.url}/new?%C3%A9=%C3%BC")
    assert "finalUrl" not in reader.read(f"{web.url}/new?%C3%A9=%C3%BC#part").page


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("/loop", "more than 10 redirects"),
        ("ftp://127.0.0.1/", "a redirect to something else than http or https: ftp://127.0.0.1/"),
        ("file:///etc/passwd", "a redirect to something else than http or https: file:///etc/passwd"),
        ("http://[::1", "a redirect to something else than http or https: http://[::1"),
    ],
)
def test_redirects_that_lead_nowhere(reader: Reader, web: Web, location: str, sentence: str) -> None:
    web.answers["/loop"] = answer(status=302, Location=location)
    assert reader.error(f"{web.url}/loop") == sentence


def test_headers_that_are_no_text_make_errors_that_are(reader: Reader, web: Web) -> None:
    web.answers["/to"] = answer(status=302).replace(b"\r\n\r\n", b"\r\nLocation: ftp://\xff\xfe/\r\n\r\n")
    web.answers["/type"] = answer("x", kind=None).replace(b"\r\n\r\n", b"\r\nContent-Type: image/\xff\xfe\r\n\r\n")
    for path in ("/to", "/type"):
        assert reader.error(web.url + path).encode()


@pytest.mark.parametrize("status", [400, 403, 404, 410, 500])
def test_an_answer_of_400_and_more_is_a_page_error(reader: Reader, web: Web, status: int) -> None:
    web.page("/", "<p>sorry</p>", status=status)
    outcome = reader.read(web.url)
    assert outcome.page["error"] == f"HTTP {status}"
    assert outcome.page["statusCode"] == outcome.page["metadata"]["statusCode"] == status
    assert outcome.problem == "upstream_unavailable"
    assert "markdown" not in outcome.page
    assert outcome.page["credits"] == 0
    assert web.hits("/") == 1


def in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


@pytest.mark.parametrize(
    "first",
    [
        partial(answer, status=503),
        partial(answer, status=429, Retry_After="0"),
        lambda: answer(status=503, Retry_After=in_a_second()),
        lambda: answer("cut short", Content_Length="1000"),
        lambda: b"",
    ],
)
def test_a_transient_failure_is_tried_once_more(reader: Reader, web: Web, first: partial[bytes]) -> None:
    async def once(visitor: Visitor) -> None:
        await visitor.write(first() if web.hits("/") == 1 else answer("<p>second time</p>"))

    web.answers["/"] = once
    assert reader.read(web.url).page["markdown"].strip() == "second time"


@pytest.mark.parametrize(
    ("given", "sentence", "hits"),
    [
        (answer(status=502), "HTTP 502", 2),
        (answer("cut", Content_Length="9"), "the body was cut short or badly encoded", 2),
        (answer(b"no gzip", Content_Encoding="gzip"), "the body was cut short or badly encoded", 2),
        (b"", "the connection to 127.0.0.1:PORT was closed before the answer", 2),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "127.0.0.1:PORT answered something that is not HTTP", 1),
        (answer(status=429, Retry_After="3600"), "HTTP 429", 1),
    ],
)
def test_a_failure_that_lasts(reader: Reader, web: Web, given: bytes, sentence: str, hits: int) -> None:
    web.answers["/"] = given
    assert reader.error(web.url) == sentence.replace("PORT", str(web.port))
    assert web.hits("/") == hits


def test_hosts_that_are_not_there(reader: Reader, web: Web) -> None:
    assert reader.error("http://no-such-host.invalid/") == "DNS: no such host no-such-host.invalid"
    assert reader.error("http://127.0.0.1:1/") == "the connection was refused by 127.0.0.1:1"
    web.answers["/"] = b"HTTP/1.1 200 OK\r\n\r\n"
    assert reader.error(f"https://127.0.0.1:{web.port}/").startswith("no secure connection to 127.0.0.1:")


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "javascript:alert(1)", "//x", "http://", "http://[::1", "", "\x00"]
)
def test_what_is_no_web_address(reader: Reader, url: str) -> None:
    outcome = reader.read(url)
    assert outcome.problem == "invalid_request"
    assert outcome.page["error"].startswith("not an http or https URL")


async def never(visitor: Visitor) -> None:
    await asyncio.sleep(60)


async def drip(visitor: Visitor) -> None:
    await visitor.write(answer("<p>", Content_Length="1000000"))
    while True:
        await visitor.write(b"x")
        await asyncio.sleep(0.05)


async def flood(visitor: Visitor) -> None:
    await visitor.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while True:
        await visitor.write(b"<p>more</p>" * 10_000)


def bomb(megabytes: int) -> bytes:
    """Gzip, a thousand times smaller than what comes out."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * (1 << 20)) for _ in range(megabytes)) + packer.flush()


def test_time_and_size_are_limited(reader: Reader, web: Web) -> None:
    web.answers |= {"/never": never, "/drip": drip, "/flood": flood}
    web.page("/bomb", bomb(200), Content_Encoding="gzip")
    silent = reader.read(f"{web.url}/never", timeout_ms=1000)
    assert (silent.problem, silent.page["error"]) == ("scrape_timeout", "no answer within 1 s")
    assert 1000 <= silent.page["metadata"]["duration"] < 2000
    assert reader.error(f"{web.url}/drip", timeout_ms=1000) == "the page did not end within 1 s"
    assert reader.error(f"{web.url}/flood") == "the page is larger than 20 MB"
    assert reader.error(f"{web.url}/bomb") == "the page is larger than 20 MB"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_pages(reader: Reader, web: Web, encoding: str) -> None:
    body = "<p>héllo</p>".encode()
    web.page("/", gzip.compress(body) if encoding == "gzip" else zlib.compress(body), Content_Encoding=encoding)
    assert reader.read(web.url).page["markdown"].strip() == "héllo"


@pytest.mark.parametrize(
    ("kind", "body", "markdown"),
    [
        ("text/html", "<p>a <b>b</b></p>", "a **b**"),
        ("application/xhtml+xml", '<?xml version="1.0"?><html><title/><body><a id="x"/><p>x</p></body></html>', "x"),
        ("text/plain", "a <b>\n  b\n", "a <b>\n  b"),
        ("text/markdown; charset=utf-8", "# Ä\n\n* b", "# Ä\n\n* b"),
        ("application/json", '{"a": "ü"}', '{"a": "ü"}'),
        ("application/ld+json", "[1]", "[1]"),
        ("application/rss+xml", "<rss><channel/></rss>", "<rss><channel/></rss>"),
        ("text/xml", "<a>b</a>", "<a>b</a>"),
        (None, "<!doctype html><p>guessed</p>", "guessed"),
        (None, "only text", "only text"),
    ],
)
def test_readable_content_types(reader: Reader, web: Web, kind: str | None, body: str, markdown: str) -> None:
    web.page("/", body, kind=kind)
    assert reader.read(web.url).page["markdown"].strip() == markdown


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/octet-stream", "video/mp4"])
def test_other_content_types_are_named(reader: Reader, web: Web, kind: str) -> None:
    web.page("/", b"\x89PNG\r\n", kind=kind)
    assert reader.error(web.url) == f"content type {kind} cannot be read"


def test_binary_without_a_type(reader: Reader, web: Web) -> None:
    web.page("/", b"\x7fELF\0\0", kind=None)
    assert reader.error(web.url) == "the answer is binary and names no content type"


RUSSIAN = "<p>Съешь же ещё этих мягких французских булок, да выпей чаю.</p>"
JAPANESE = "<p>いろはにほへと ちりぬるを わかよたれそ つねならむ</p>"


@pytest.mark.parametrize(
    ("header", "body", "text"),
    [
        ("; charset=windows-1251", RUSSIAN.encode("cp1251"), "мягких"),
        ("", b'<meta charset="shift_jis">' + JAPANESE.encode("cp932"), "ちりぬるを"),
        (
            "",
            b'<meta http-equiv=content-type content="text/html; charset=koi8-r">' + RUSSIAN.encode("koi8-r"),
            "мягких",
        ),
        ("; charset=latin-1", b"\xef\xbb\xbf" + RUSSIAN.encode(), "мягких"),
        ("; charset=no-such-thing", RUSSIAN.encode(), "мягких"),
        ("", RUSSIAN.encode("cp1251") * 20, "мягких"),
        ("", b'<meta charset="utf-16">' + RUSSIAN.encode(), "мягких"),
        ("", RUSSIAN.encode("utf-16"), "мягких"),
        ("; charset=utf-8", b"<p>good \xff\xfe bad</p>", "good \ufffd\ufffd bad"),
        ("; charset=iso-8859-1", b"<p>\x93quoted\x94</p>", "“quoted”"),
    ],
)
def test_character_sets(reader: Reader, web: Web, header: str, body: bytes, text: str) -> None:
    web.page("/", body, kind=f"text/html{header}")
    assert text in reader.read(web.url).page["markdown"]


@settings(deadline=None)  # the first guess loads tables
@given(st.binary(), st.none() | st.sampled_from(["utf-8", "hex", "utf-7", "idna", "punycode", "gbk"]) | st.text())
def test_any_bytes_become_text(body: bytes, label: str | None) -> None:
    decode(body, label).encode()  # no lone surrogates either


def test_cookies_live_within_a_job(reader: Reader, loop: Loop, web: Web) -> None:
    async def new_jar() -> aiohttp.CookieJar:
        return aiohttp.CookieJar(unsafe=True)

    jar = loop.run(new_jar())
    web.answers["/in"] = answer(status=302, Location="/next", Set_Cookie="seat=7; Path=/")
    web.page("/next", "<p>in</p>")
    reader.read(f"{web.url}/in", cookies=jar)
    reader.read(f"{web.url}/next", cookies=jar)
    reader.read(f"{web.url}/next")
    assert [visit.headers.get("cookie") for visit in web.visits] == [None, "seat=7", "seat=7", None]


def test_it_says_who_it_is(reader: Reader, web: Web) -> None:
    reader.read(web.page("/", "<p>x</p>"))
    assert web.visits[0].headers["user-agent"] == f"reader-cli/{__version__}"


def test_proxies_of_the_environment(loop: Loop, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Public pages go through the proxy; private ones never do, and no proxy is asked for one."""
    monkeypatch.setenv("http_proxy", web.url)
    reader = Reader(loop)
    web.answers["http://known-to-the-proxy.invalid/"] = answer("<p>by proxy</p>")
    web.answers["http://public.invalid/"] = answer(status=302, Location=f"{web.url}/secret")
    web.page("/secret", "<p>secret</p>")
    try:
        assert reader.read("http://known-to-the-proxy.invalid/").page["markdown"].strip() == "by proxy"
        assert reader.read(f"{web.url}/secret").page["markdown"].strip() == "secret"
        assert reader.error(f"{web.url}/secret", trusted=False) == "127.0.0.1 is not a public address"
        assert reader.error("http://public.invalid/") == "127.0.0.1 is not a public address"
    finally:
        reader.close()
    assert [visit.target for visit in web.visits] == [
        "http://known-to-the-proxy.invalid/",
        "/secret",
        "http://public.invalid/",
    ]
