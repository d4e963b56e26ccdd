"""CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

from collections.abc import Iterable

from reader_cli.output.text import harmless_document

# A spreadsheet takes a cell that begins with one of these for a formula (OWASP: CSV injection).
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def build_row(cells: Iterable[str]) -> bytes:
    """One record of CSV (RFC 4180); lone surrogates become "?". The standard library's writer takes ten times as long
    for cells as large as pages."""
    row = ",".join(map(_quoted, cells)) or '""'  # a blank line would be no record
    return row.encode("utf-8", "replace") + b"\r\n"


def build_cell(text: str, *, terminal: bool) -> str:
    """Text of a page, harmless: what would be run as a formula gets an apostrophe before it."""
    cell = harmless_document(text, terminal=terminal).removesuffix("\n")
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in '",\r\n') else cell
