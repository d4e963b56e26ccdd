"""Making text that a server or a web page sent harmless before it reaches a terminal (cli: law 7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

# Bidi marks and overrides, zero-width marks that reorder, line and paragraph separators, lone surrogates.
_INVISIBLE = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff"
# Patterns are compiled when they are first used: a TAB needs none.
_MARKS = f"[{_INVISIBLE}]"
# These, and C0 and C1 controls (ESC among them). Rich's escape() and strip_control_codes() let most of them through.
_LIVE = f"[\x00-\x1f\x7f-\x9f{_INVISIBLE}]"
# What has no business in a text document, a terminal or not. Bidi marks have: Arabic and Hebrew need them.
_CONTROLS = "[\x00-\x08\x0b-\x1f\x7f-\x9f]"
_LINE_END = "\r\n?|\x85"
_SPACE = r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+"
MAX_LENGTH = 500
LONGEST_PATH = 5000  # characters of a message that tells a path whole: PATH_MAX is 4,096


def harmless(text: object, limit: int = MAX_LENGTH) -> str:
    """One line of printable text: line breaks become spaces, live characters go, more than `limit` characters is cut.

    >>> harmless("a\\x1b[31mred\\nb")
    'a[31mred b'
    """
    line = re.sub(_LIVE, "", re.sub(_SPACE, " ", str(text))).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def harmless_document(text: str, *, terminal: bool) -> str:
    """A document of many lines, ended by a newline. Tabs and line ends stay, other control characters go, wherever it
    is written to: a pipe ends in a terminal as often as not. On a terminal bidi controls and the like go, too.

    >>> harmless_document("a\\x1b[31mred\\r\\nb", terminal=False)
    'a[31mred\\nb\\n'
    """
    lines = re.sub(_LINE_END, "\n", text) if "\r" in text or "\x85" in text else text
    plain = re.sub(_CONTROLS, "", lines)
    if terminal:
        plain = re.sub(_MARKS, "", plain)
    return plain if plain.endswith("\n") else plain + "\n"


def harmless_url(url: str) -> str:
    """On one line, what is live in it percent-encoded: it stays the same URL."""
    return re.sub(_LIVE, lambda char: quote(char[0], errors="replace"), url)


def count(number: int, noun: str) -> str:
    """`1 page`, `1,200 pages`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def moment(unix: float) -> str:
    """`2026-04-04T12:00:00Z`, as the API writes times."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(moment: object) -> float | None:
    """Unix seconds of a time as the API writes it; None for anything else."""
    try:
        time = datetime.fromisoformat(moment)  # type: ignore[arg-type]
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
