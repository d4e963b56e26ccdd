"""A page as one JSON line: as the server sent it, and harmless to terminals and line readers (cli: law 7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

# What never reaches a line live: C0, DEL and C1 controls, bidi controls, line separators, and lone surrogates, which
# UTF-8 can't carry.
_HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
_PRINTABLE = bytes(range(0x20, 0x7F))
# The same beyond ASCII, in UTF-8. Each alternative is a search of its own, with a literal first byte: as one pattern
# they take ten times as long.
_HOSTILE_BYTES = (
    re.compile(rb"\xc2[\x80-\x9f]"),
    re.compile(rb"\xe2(?:\x80[\x8e\x8f\xa8-\xae]|\x81[\xa6-\xaf])"),
    re.compile(rb"\xd8\x9c"),
)
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)
_LEADING_URL = re.compile(rb'\{\s*"url"\s*:\s*"([^"\\]*)"')
_NOT_JSON = {"NaN": "null", "Infinity": "null", "-Infinity": "null"}


class Head(msgspec.Struct, rename="camel"):
    """What one needs to know of a page without reading it. `error` is set on a page that failed; the last three are
    as they were sent, None where they were not."""

    url: str = ""
    error: str | None = None
    final_url: Any = None
    status_code: Any = None
    credits: Any = None


def to_line(raw: bytes) -> bytes:
    """Valid JSON as one line, without its newline: the same bytes, unless they hold white space or hostile characters.

    Of what may be less than valid, `mend` makes a line.
    """
    plain = not _holds_control(raw) if raw.isascii() else _is_harmless(raw)
    return raw if plain else mend(raw)


def mend(raw: bytes) -> bytes:
    """Any JSON that a lenient parser takes, as one valid line. NaN and infinities become null, broken UTF-8 becomes
    U+FFFD or an escaped surrogate; numbers, key order and depth stay as they are."""
    return "".join(_tokens(_decode(raw))).encode()


def read_head(line: str | bytes) -> Head:
    """Empty where a page has no such keys, or where they are no strings."""
    try:
        return msgspec.json.decode(line, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_odd_head(line if isinstance(line, str) else _decode(line))


def read_url(line: bytes) -> bytes:
    """What tells a page from others: its URL as it is written, which most servers write first."""
    found = _LEADING_URL.match(line)
    return found[1] if found else read_head(line).url.encode("utf-8", "surrogatepass")


def is_failed(line: bytes) -> bool:
    """Whether a page's line is one of a page that failed (contract: PAGE)."""
    return b'"error"' in line and read_head(line).error is not None


def read_members(raw: bytes | msgspec.Raw) -> dict[str, bytes]:
    """What an object holds, each value as its JSON; nothing for what is no object."""
    try:
        return {key: bytes(value) for key, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_odd_members(bytes(raw))


def split_results(body: bytes) -> tuple[list[bytes], Any]:
    """The pages of `data.results` as lines, and the answer with `results` left empty: for answers that a strict parser
    refuses, at any depth of nesting. Raises ValueError where it is no JSON."""
    lines: list[bytes] = []
    rest: list[str] = []
    page: list[str] = []
    for depth, token in _depths(_tokens(_decode(body))):
        if depth > 0 and not (depth == 1 and token == ","):
            page.append(token)
            continue
        if page:
            lines.append(_checked("".join(page)))
            page.clear()
        if depth == 0:
            rest.append(token)
    return lines, json.loads("".join(rest))


def _depths(tokens: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Each token with its depth inside of `data.results`: 0 outside, 1 for what stands between its pages."""
    keys: list[str] = []  # the current key of each open object, outermost first; "" for an array
    last = ""
    for token in tokens:
        if token in "}]":
            if not keys:
                raise ValueError("more brackets are closed than opened")
            keys.pop()
        yield (len(keys) - 2 if keys[:2] == ['"data"', '"results"'] else 0), token
        if token in "{[":
            keys.append("")
        elif token == ":" and keys:
            keys[-1] = last
        last = token


def _read_odd_members(raw: bytes) -> dict[str, bytes]:
    """For lone surrogates and any depth: by tokens, `key : value ,` inside of the outermost braces."""
    members: dict[str, bytes] = {}
    if raw.lstrip()[:1] != b"{":
        return members
    member: list[str] = []
    depth = 0
    for token in _tokens(_decode(raw)):
        depth -= token in "}]"
        if depth == 0 or (depth == 1 and token == ","):
            if len(member) > 2:
                members[json.loads(member[0])] = "".join(member[2:]).encode()
            member = []
        else:
            member.append(token)
        depth += token in "{["
    return members


def _tokens(text: str) -> Iterator[str]:
    """JSON's tokens without the white space between them."""
    for match in _TOKEN.finditer(text):
        token = match[0]
        yield _HOSTILE.sub(_escape, token) if token[0] == '"' else _NOT_JSON.get(token, token)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _decode(raw: bytes) -> str:
    """Surrogates that were written as if they were characters stay recognisable; other broken bytes don't."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


def _is_harmless(raw: bytes) -> bool:
    """Whether it is UTF-8 without hostile characters. Of what is mostly ASCII it pays to look at the rest alone."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    rest = raw.translate(None, _PRINTABLE)
    if len(rest) * 2 < len(raw):
        return not _HOSTILE.search(rest.decode())
    return not (_holds_control(raw) or any(pattern.search(raw) for pattern in _HOSTILE_BYTES))


def _holds_control(raw: bytes) -> bool:
    """Of those that valid JSON can hold. A search for each is quick."""
    return b"\n" in raw or b"\r" in raw or b"\t" in raw or b"\x7f" in raw


def _checked(page: str) -> bytes:
    try:
        json.loads(page)
    except RecursionError:
        pass  # too deep for this parser, not for JSON
    return page.encode()


def _read_odd_head(line: str) -> Head:
    """For what strict parsers refuse and lenient ones find too deep. The last of repeated keys counts, as in JSON."""
    found: dict[str, str] = {}
    depth, key, last = 0, "", ""
    for token in _tokens(line):
        if depth == 1 and last == ":":
            found[key] = token
        elif depth == 1 and token == ":":
            key = last
        depth += (token in "{[") - (token in "}]")
        last = token
    url, error, *others = (_scalar(found.get(f'"{name}"')) for name in Head.__struct_encode_fields__)
    return Head(url if isinstance(url, str) else "", error if isinstance(error, str) else None, *others)


def _scalar(token: str | None) -> Any:
    """A value of one token; None for a bracket."""
    try:
        return json.loads(token) if token else None
    except ValueError:
        return None
