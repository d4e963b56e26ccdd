"""What went wrong on the way to a page, each in one sentence."""

from __future__ import annotations

import email.utils
import errno
import ssl
import time

import aiohttp
from yarl import URL

from reader_cli.engine.addresses import Blocked
from reader_cli.engine.faults import PageFault
from reader_cli.engine.network import blocked
from reader_cli.models import ErrorCode

BUSY = (429, 502, 503, 504)  # answers that may be better a moment later
PAUSE = 0.5  # seconds before the second try


class Transient(PageFault):
    """A failure worth a second try, `after` seconds; `asked_for_by_host` when they come from its Retry-After."""

    def __init__(self, message: str, *, after: float | None = None, status: int | None = None) -> None:
        super().__init__(ErrorCode.UPSTREAM_UNAVAILABLE, message, status=status)
        self.after = PAUSE if after is None else after
        self.asked_for_by_host = after is not None


def refusal_of(response: aiohttp.ClientResponse) -> PageFault:
    """An answer of 400 and more is a page that failed."""
    status = response.status
    if status in BUSY:
        return Transient(f"HTTP {status}", after=_retry_after(response.headers.get("Retry-After")), status=status)
    return PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, f"HTTP {status}", status=status)


def cause_of(error: Exception, url: URL) -> PageFault:
    where = f"{url.host}:{url.port}"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return _plain(f"DNS: no such host {url.host}")
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return _plain(f"the proxy did not connect to {where}")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return _plain(f"no secure connection to {where}: {_reason(error)}")
        case aiohttp.ClientConnectorError(os_error=Blocked()):
            return blocked(url)
        case aiohttp.ClientConnectorError(os_error=OSError(errno=errno.ECONNREFUSED)):
            return _plain(f"the connection was refused by {where}")
        case aiohttp.ClientConnectorError():
            return _plain(f"no connection to {where}: {_reason(error)}")
        case aiohttp.ClientPayloadError():
            return Transient("the body was cut short or badly encoded")
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            return _plain(f"the connection to {where} was closed before the answer")  # twice: aiohttp retries by itself
        case aiohttp.ClientResponseError():
            return _plain(f"{where} answered something that is not HTTP")
    if isinstance(error, ValueError):  # aiohttp's InvalidURL is one, too
        return PageFault(ErrorCode.INVALID_REQUEST, f"not a usable URL: {error}")
    return _plain(f"no connection to {where}: {_reason(error)}")


def _plain(message: str) -> PageFault:
    return PageFault(ErrorCode.UPSTREAM_UNAVAILABLE, message)


def _reason(error: Exception) -> str:
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(inner, "verify_message", None) or getattr(inner, "strerror", None) or inner) or "it was closed"


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
