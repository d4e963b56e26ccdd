"""JSON for the wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec

# Line ends to str.splitlines(), and so to clients that split an event stream with it. As JSON escapes they are safe,
# and in UTF-8 JSON these bytes occur in strings only.
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


def encode(value: Any) -> bytes:
    """Compact, on one line by anybody's definition. Lone surrogates, which UTF-8 cannot hold, become escapes."""
    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(value, separators=(",", ":")).encode()
    for raw, escaped in _LINE_ENDS:
        text = text.replace(raw, escaped)
    return text


def success(data: Any, **more: Any) -> bytes:
    """The contract's envelope; `more` goes beside `data` (`pagination`)."""
    return encode({"success": True, "data": data} | more)
