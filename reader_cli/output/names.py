"""Names of files for pages (cli: --output-dir). No URL can choose where its file lies, or share one with another."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from urllib.parse import unquote

_LONGEST = 80  # characters of the readable part: eCryptfs allows 143 in all
_HASHED = 20  # characters of base32, 100 bits: nobody finds two URLs that share them
_OTHER = re.compile("[^a-z0-9]+")


def build_stem(url: str, occurrence: int = 1) -> str:
    """`example-com-docs-intro-` and a hash of the URL, as it is; the second page of one URL has `-2` behind it.

    Lower-case ASCII letters, digits and single hyphens: so no folder, no hidden file, no two that differ in case or in
    Unicode normalisation alone, and with the hash none of Windows' reserved names (`con`, `nul.txt`).
    """
    words = unquote(url.partition("://")[2] or url, errors="ignore").lower()
    ascii = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    readable = _OTHER.sub("-", ascii)[:_LONGEST].strip("-") or "page"
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).digest()
    hashed = base64.b32encode(digest).decode().lower()[:_HASHED]
    return f"{readable}-{hashed}" + (f"-{occurrence}" if occurrence > 1 else "")
