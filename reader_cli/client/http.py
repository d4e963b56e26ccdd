"""One HTTP request out, one whole answer in. Every failure of the network becomes Unreachable here."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from threading import Event, Lock
from typing import Any

import httpx
import msgspec

from reader_cli import __version__
from reader_cli.client.background import in_background
from reader_cli.client.loopback import LoopbackTransport
from reader_cli.client.wire import Answer
from reader_cli.errors import ConfigError, Unreachable, UsageError
from reader_cli.models import KEY_HEADER

CONNECT_TIMEOUT = 10.0
SLOWEST = 16 * 1024  # bytes a second: an answer that comes slower than this is given up
CONNECTIONS = httpx.Limits(max_connections=16, max_keepalive_connections=8)

Revive = Callable[[], tuple[str, str]]

# What httpx raises before anything of a request was written.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class Http:
    """The one httpx client of the process, and the address and key that it uses. Safe to use from several threads.

    `revive` brings a local engine that refuses connections back, and returns its base URL and key.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None,
        revive: Revive | None,
        proxy: str | None,
        ca_bundle: str | None,
    ) -> None:
        self._server = (base_url.rstrip("/"), _checked_key(key))
        self._revive = revive
        self._reviving = Lock()
        self._client = httpx.Client(
            transport=transport or _build_transport(base_url, proxy),
            headers={"user-agent": f"reader-cli/{__version__}"},
            limits=CONNECTIONS,
            follow_redirects=False,
            verify=build_tls(base_url, ca_bundle),
            proxy=build_proxy(proxy),
            trust_env=not is_loopback(base_url),
        )

    @property
    def host(self) -> str:
        return _host_of(self._server[0])

    def close(self) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        params: Mapping[str, int] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The whole answer, whatever its status. `timeout` in seconds is for the answer to begin, name resolution and
        connecting included, and for any two parts of it. Raises Unreachable."""
        content = None if body is None else msgspec.json.encode(body)
        extra = {"content-type": "application/json"} if content is not None else {}
        limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
        begun, sent_at = Event(), time.monotonic()

        def exchange() -> Answer:
            with self._open(method, path, limits, params, content, {**extra, **(headers or {})}) as response:
                begun.set()
                return self.read(response, timeout, waited=time.monotonic() - sent_at)

        answer = in_background(exchange)  # httpx has no timeout for all of it
        try:
            return answer.result(timeout)
        except TimeoutError:
            if not begun.is_set():
                raise self._unreachable(httpx.ReadTimeout("")) from None
        return answer.result()

    @contextmanager
    def stream(self, path: str, *, timeout: float, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An open answer; `timeout` is the longest silence in seconds. Raises Unreachable, while it is read too."""
        limits = httpx.Timeout(timeout, connect=CONNECT_TIMEOUT)
        with self._open("GET", path, limits, None, None, headers) as response:
            yield response

    def read(self, response: httpx.Response, timeout: float, *, waited: float = 0.0) -> Answer:
        """The rest of an open answer, under `send` or `stream`, which turn what goes wrong into Unreachable: a cut, and
        a trickle that no timeout between two parts would notice."""
        body = bytearray()  # grows in place: joining chunks would hold a large answer twice
        started = time.monotonic()
        for chunk in response.iter_bytes():
            body += chunk
            if time.monotonic() - started > timeout + len(body) / SLOWEST:
                raise httpx.ReadTimeout("the answer trickles", request=response.request)
        return Answer(self.host, response.status_code, response.headers, body, waited)

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        limits: httpx.Timeout,
        params: Mapping[str, int] | None,
        content: bytes | None,
        headers: Mapping[str, str],
    ) -> Iterator[httpx.Response]:
        server = base_url, key = self._server
        try:
            with self._client.stream(
                method,
                base_url + path,
                params=params,
                content=content,
                headers={KEY_HEADER: key, **headers},
                timeout=limits,
            ) as response:
                yield response
        except httpx.ConnectError as error:
            self._bring_back(server)
            raise self._unreachable(error) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._unreachable(error) from error

    def _bring_back(self, lost: tuple[str, str]) -> None:
        """Once, however many threads lost it."""
        with self._reviving:
            if self._revive and self._server == lost:
                base_url, key = self._revive()
                self._server = (base_url.rstrip("/"), _checked_key(key))

    def _unreachable(self, error: Exception) -> Unreachable:
        untrusted = _is_of_certificate(error)
        return Unreachable(
            f"{_WHAT_HAPPENED.get(type(error), 'the connection was lost')} ({self.host}): {error}".rstrip(": "),
            hint=_UNTRUSTED if untrusted else "Check the network and the API URL, then try again.",
            sent=not isinstance(error, _NOT_SENT),
            transient=not (untrusted or isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol)),
        )


_UNTRUSTED = "If the server's certificate is of your own authority: reader --ca-bundle FILE …, or SSL_CERT_FILE=FILE"
_WHAT_HAPPENED: dict[type[Exception], str] = {
    httpx.ConnectError: "no connection",
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.WriteTimeout: "the request could not be sent in time",
    httpx.RemoteProtocolError: "the answer was cut short",
    httpx.DecodingError: "the answer was garbled",
    httpx.InvalidURL: "the API URL is not valid",
    httpx.UnsupportedProtocol: "the API URL is neither http nor https",
}


def _is_of_certificate(error: BaseException | None) -> bool:
    """Whether it is, or comes from, a certificate that is not trusted."""
    while error and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


@lru_cache
def _host_of(base_url: str) -> str:
    return httpx.URL(base_url).netloc.decode()


def _checked_key(key: str) -> str:
    """What can't be a header would end up, key and all, in the message of whoever refuses it."""
    if not (key.isascii() and key.isprintable() and key.strip() == key):
        raise ConfigError("the API key holds white space or characters that a key can't have", hint="Set it afresh.")
    return key


def build_proxy(url: str | None) -> httpx.Proxy | None:
    """Raises UsageError for what is no proxy's URL; the message leaves out the password that may stand in it."""
    try:
        return httpx.Proxy(url) if url else None
    except (ValueError, httpx.InvalidURL):
        raise UsageError("--proxy is no proxy's URL", hint="Use one like http://proxy.example:3128") from None


def build_tls(base_url: str, ca_bundle: str | None) -> ssl.SSLContext:
    """What a server's certificate is checked against: `ca_bundle`, a file, or else the system's trust store.

    Loading certificates costs 35 ms, and plain http needs none: there it is a context that trusts nobody. Raises
    UsageError for a file that holds no certificates.
    """
    if base_url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_bundle is None:
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"{ca_bundle} cannot be read as certificates: {error.strerror or error}") from None


def _build_transport(base_url: str, proxy: str | None) -> httpx.BaseTransport | None:
    """None for httpx's own."""
    local = base_url.startswith("http://") and not proxy and is_loopback(base_url)
    return LoopbackTransport() if local else None


def is_loopback(base_url: str) -> bool:
    """A proxy from the environment can't reach this machine's loopback, and must not see its engine's key."""
    host = httpx.URL(base_url).host
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
