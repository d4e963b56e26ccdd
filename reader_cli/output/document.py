"""The one thing of a page that `read` writes: its text, or its picture."""

from __future__ import annotations

import base64
import binascii

from reader_cli.errors import Unreachable
from reader_cli.models import Format, Page
from reader_cli.output.text import harmless_document


def build_document(page: Page, format: Format, *, terminal: bool) -> bytes:
    """UTF-8 text that ends in a newline, or a PNG's bytes. Raises Unreachable where the server did not send that."""
    content = page.get(format)
    if not isinstance(content, str):
        raise Unreachable(
            f"the server read {page.get('url')} and sent no {format}", hint="See all that it sent with --json."
        )
    if format == "screenshot":
        return _decode_picture(content)
    return harmless_document(content, terminal=terminal).encode("utf-8", "replace")  # lone surrogates become "?"


def _decode_picture(content: str) -> bytes:
    try:
        return base64.b64decode(
            content.rpartition(",")[2], validate=True
        )  # after "data:image/png;base64,", if it is there
    except (binascii.Error, ValueError):
        raise Unreachable("the server sent a screenshot that is not base64") from None
