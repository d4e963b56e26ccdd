"""What counts as a URL in a list, and when two of them are the same page."""

from __future__ import annotations

import re

# Most lines of most lists, a million of them in seconds: nothing to lower, no port, no address, no fragment.
_PLAIN = re.compile(
    r"(https?://)?(?:[a-z0-9_-]{1,63}\.)+(?!localhost(?:/|$))[a-z][a-z0-9-]{0,62}(/[!-\"$-~]*)?",
)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<user>[^/?#]*@)?(?P<host>\[[^\]/?#]*\]|[^/?#:\[\]]*)(?::(?P<port>\d*))?(?P<rest>[/?#].*)?",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d{1,5}(?:[/?#]|$))", re.IGNORECASE)  # but "host:8000" is no scheme
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_LOOPBACK = re.compile(r"(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DEFAULT_PORT = {"http": 80, "https": 443}


def clean_url(text: str) -> tuple[str, str]:
    """`text` as a URL to send, and the spelling under which duplicates meet.

    What is sent is what was written, plus a scheme where there was none: `https://`, or `http://` for a loopback
    host (localhost, 127.x.x.x, [::1]), where hardly anything speaks TLS. Raises ValueError, whose text completes
    the sentence "this line …".
    """
    if plain := _PLAIN.fullmatch(text):
        url = text if plain[1] else "https://" + text
        return url, url if plain[2] else url + "/"
    if not text.isprintable() or " " in text:
        raise ValueError(_why_unprintable(text))
    url = _with_scheme(text)
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("is not a URL")
    return url, _identity(match)


def not_utf8(text: str) -> bool:
    """Whether `text` holds bytes that were not UTF-8 (read with `surrogateescape`)."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _why_unprintable(text: str) -> str:
    if not_utf8(text):
        return "is not UTF-8 text"
    return "contains a space" if any(char.isspace() for char in text) else "contains a control or invisible character"


def _with_scheme(text: str) -> str:
    if text.startswith("//"):
        return "https:" + text
    if text[:8].lower().startswith(("http://", "https://")):
        return text
    if _SCHEME.match(text):
        raise ValueError("has a scheme other than http:// and https://")
    authority = re.split(r"[/?#]", text, maxsplit=1)[0]
    host = authority if authority.endswith("]") else authority.rsplit(":", 1)[0]
    if _LOOPBACK.fullmatch(host.lower()):
        return "http://" + text
    # "notes" or "joe@example.com" is more likely a mistake than a host; with a scheme the first is taken
    if "@" in authority or not re.search(r"[.:\u3002]", authority):
        raise ValueError("is not a URL")
    return "https://" + text


def _identity(match: re.Match[str]) -> str:
    scheme, host = match["scheme"].lower(), _checked_host(match["host"])
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if port > 65535:
        raise ValueError("has a port above 65535")
    rest = (match["rest"] or "/").removesuffix("#")
    where = host if port == _DEFAULT_PORT[scheme] else f"{host}:{port}"
    return f"{scheme}://{match['user'] or ''}{where}{rest if rest.startswith('/') else '/' + rest}"


def _checked_host(written: str) -> str:
    host = written.lower()
    if host.startswith("["):
        return _checked_ipv6(host)
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("has no valid host name") from None
    if len(plain) > 254 or not all(_LABEL.fullmatch(label) for label in plain.removesuffix(".").split(".")):
        raise ValueError("has no valid host name")
    return plain


def _checked_ipv6(host: str) -> str:
    from ipaddress import IPv6Address

    try:
        return f"[{IPv6Address(host[1:-1]).compressed}]"
    except ValueError:
        raise ValueError("has no valid IPv6 address") from None
