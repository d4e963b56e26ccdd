"""Why it does not work: each thing that has to be right, from the configuration to the stream, with its remedy."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reader_cli import __version__
from reader_cli.errors import ExitCode, ReaderError, Unreachable
from reader_cli.local import Engine, find_engine, is_installed
from reader_cli.session import Session, connection

STREAM_SECONDS = 5.0  # an unbuffered stream shows its headers and first bytes well before
SKEW_SECONDS = 120.0  # webhook signatures are refused at 300
CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """`ok` is None for what does not apply here."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.UNREACHABLE


def run_checks(session: Session) -> Iterator[Check]:
    """In the order in which a command meets these things; the later ones only where the earlier ones passed."""
    yield _check_versions()
    yield _check_path(session)
    yield _check_history(session)
    configuration = _attempt("configuration", lambda: _configuration(session))
    yield configuration
    if not configuration.ok:
        return
    if session.settings.local:
        yield _check_engine(find_engine())
        yield _check_browser()
    for name, test in _network_tests(session):
        check = _attempt(name, test)
        yield check
        if not check.ok:
            return
    yield from _check_api(session)


def _check_versions() -> Check:
    python = ".".join(map(str, sys.version_info[:3]))
    engine = "with the local engine" if is_installed() else "without the local engine"
    return Check("versions", True, f"reader {__version__} {engine}, Python {python}")


def _check_path(session: Session) -> Check:
    """Another program of this name that a shell would start instead, the official Node CLI for one."""
    found = [
        str(Path(folder) / "reader")
        for folder in dict.fromkeys(session.env.environ.get("PATH", "").split(os.pathsep))
        if folder and shutil.which("reader", path=folder)
    ]
    own = {Path(sys.argv[0]).resolve(), Path(sys.executable).with_name("reader").resolve()}
    others = [name for name in found if Path(name).resolve() not in own]
    if not others:
        return Check("command", True, found[0] if found else "not on PATH")
    remedy = "Put the one that you want first on PATH, or run it as: python -m reader_cli"
    return Check("command", False, f"another reader on PATH: {', '.join(others)}", remedy, ExitCode.USAGE)


def _check_history(session: Session) -> Check:
    history = session.history
    if history.warning:
        return Check("history", False, history.warning, "reader submit needs it to be writable", ExitCode.USAGE)
    return Check("history", True, "readable and writable")


def _configuration(session: Session) -> str:
    settings = session.settings
    return f"{settings.base_url}, from {settings.source}"


def _check_engine(engine: Engine | None) -> Check:
    if engine is None:
        return Check("engine", False, "not running", "reader local logs")
    if engine.version != __version__:
        return Check("engine", False, f"version {engine.version}, this is {__version__}", "reader local stop")
    return Check("engine", True, f"process {engine.pid}, version {engine.version}")


def _check_browser() -> Check:
    """Optional: without one, the engine reads pages as their server sends them."""
    from reader_cli.engine.browser.chromium import find_chromium, missing_parts

    if remedy := missing_parts():
        return Check("browser", None, f"none, for pages that need JavaScript: {remedy}")
    return Check("browser", True, str(find_chromium()))


def _network_tests(session: Session) -> list[tuple[str, Callable[[], str]]]:
    url = session.settings.base_url
    proxy = _proxy(session, url)
    if proxy:
        return [("proxy", lambda: _connect(*_address(proxy)) + f" (the proxy for {urlsplit(url).hostname})")]
    host, port = _address(url)
    tests: list[tuple[str, Callable[[], str]]] = [
        ("dns", lambda: _resolve(host)),
        ("tcp", lambda: _connect(host, port)),
    ]
    return [*tests, ("tls", lambda: _handshake(session, host, port))] if url.startswith("https") else tests


def _proxy(session: Session, url: str) -> str | None:
    """The proxy that requests to `url` go through, if any."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if session.settings.local or proxy_bypass(parts.hostname or ""):
        return session.env.proxy
    return session.env.proxy or getproxies().get(parts.scheme) or getproxies().get("all")


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or {"https": 443, "socks5": 1080}.get(parts.scheme, 80)


def _resolve(host: str) -> str:
    found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return f"{host} is {', '.join(sorted(found)[:3])}"


def _connect(host: str, port: int) -> str:
    socket.create_connection((host, port), CONNECT_SECONDS).close()
    return f"{host} port {port} answers"


def _handshake(session: Session, host: str, port: int) -> str:
    from reader_cli.client.http import build_tls

    context = build_tls("https://", connection(session.env)["ca_bundle"])
    with (
        socket.create_connection((host, port), CONNECT_SECONDS) as raw,
        context.wrap_socket(raw, server_hostname=host) as secured,
    ):
        return f"{secured.version()}, the certificate is trusted"


_REMEDIES = {
    "dns": "Check the spelling of the API URL, and the network.",
    "tcp": "Check the network, a firewall, or whether a proxy is needed: HTTPS_PROXY or reader --proxy URL",
    "tls": "If your network inspects TLS: reader --ca-bundle FILE, or SSL_CERT_FILE",
    "proxy": "Check HTTPS_PROXY, or reader --proxy URL",
}


def _attempt(name: str, test: Callable[[], str]) -> Check:
    try:
        return Check(name, True, test())
    except ReaderError as error:
        return Check(name, False, error.message, error.hint, error.exit_code)
    except OSError as error:
        return Check(name, False, str(error.strerror or error), _REMEDIES.get(name, ""))


def _check_api(session: Session) -> Iterator[Check]:
    key = _attempt("key", lambda: _told_credits(session.client.credits()))
    yield key
    if key.ok:
        yield _attempt("stream", lambda: _told_stream(session))
        yield _check_clock(session)


def _told_credits(credits: dict[str, Any]) -> str:
    return f"accepted; tier {credits.get('tier', '?')}, {credits.get('balance', '?')} credits left"


def _told_stream(session: Session) -> str:
    """A proxy that buffers holds back the headers of a stream, which otherwise come at once."""
    started = session.env.clock()
    with session.client.http.stream("/v1/events", timeout=STREAM_SECONDS, headers={}) as response:
        kind = response.headers.get("content-type", "")
        if response.status_code != 200 or not kind.startswith("text/event-stream"):
            raise Unreachable(
                f"/v1/events answers HTTP {response.status_code} {kind}", hint="Watching will poll: --via poll"
            )
    return f"opens after {session.env.clock() - started:.1f} s"


def _check_clock(session: Session) -> Check:
    date = _server_date(session)
    if date is None:
        return Check("clock", None, "the server tells no time")
    skew = abs(session.env.now() - parsedate_to_datetime(date).timestamp())
    remedy = "Set this machine's clock; webhook signatures are refused at five minutes."
    return Check("clock", skew <= SKEW_SECONDS, f"{skew:.0f} s from the server's", remedy, ExitCode.USAGE)


def _server_date(session: Session) -> str | None:
    return session.client.http.send("GET", "/v1/queue/status", timeout=CONNECT_SECONDS).headers.get("date")
