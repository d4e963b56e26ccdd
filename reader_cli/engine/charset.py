"""Bytes to text as browsers do it: byte order mark, HTTP header, <meta>, then a guess (WHATWG: encoding sniffing)."""

from __future__ import annotations

import codecs
import re

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

# Labels that the web uses for a superset of what they say (WHATWG: names and labels).
SUPERSETS = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "tis-620": "cp874",
}
# What browsers know (WHATWG: names); Python knows stranger codecs, some of which cannot replace what is broken.
KNOWN = re.compile(
    r"utf-8|utf-16(-[lb]e)?|iso8859-([2-8]|1[03-6])|koi8-[ru]|mac-(roman|cyrillic)|cp(866|874|125[0-8]|932|949)"
    r"|gb18030|big5hkscs|euc_jp|iso2022_jp"
)
META = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
META_WITHIN = 4096  # bytes; the standard says 1024, pages put it later
GUESS_FROM = 32_768  # bytes; guessing is slow


def decode(body: bytes, declared: str | None) -> str:
    """The text of `body`; bytes that fit no character become U+FFFD. `declared` is the HTTP header's charset."""
    for bom, name in BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(name, "replace")
    found = META.search(body[:META_WITHIN])
    # A <meta> that could be read as ASCII cannot be in UTF-16, whatever it says.
    in_page = _codec(found[1].decode("ascii").lower().replace("utf-16", "utf-8")) if found else None
    return body.decode(_codec(declared) or in_page or _guess(body), "replace")


def _codec(label: str | None) -> str | None:
    """The Python codec for a label, None for one that browsers don't know."""
    try:
        name = codecs.lookup((label or "").strip("\"' ")).name
    except (LookupError, ValueError):
        return None
    name = SUPERSETS.get(name, name)
    return name if KNOWN.fullmatch(name) else None


def _guess(body: bytes) -> str:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > GUESS_FROM or error.end >= len(body):
            return "utf-8"  # one broken character in a long UTF-8 page
    else:
        return "utf-8"
    import charset_normalizer

    best = charset_normalizer.from_bytes(body[:GUESS_FROM]).best()
    return _codec(best.encoding) or "cp1252" if best else "cp1252"
