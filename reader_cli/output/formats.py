"""How pages are written one after the other: JSON lines, one JSON array, CSV, URLs, markdown (cli: --format)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, repeat

from reader_cli.output.fields import Fields
from reader_cli.output.jsonl import is_failed, read_head, read_members
from reader_cli.output.spreadsheet import build_cell, build_row
from reader_cli.output.text import harmless, harmless_document, harmless_url

COLUMNS = "url,finalUrl,statusCode,metadata.title,credits,error,markdown"  # of CSV, without --fields


@dataclass(frozen=True, slots=True)
class Layout:
    """`page` makes what is written of a page's JSON line; `head` and `tail` stand before and after all of them."""

    page: Callable[[bytes], bytes]
    head: bytes = b""
    tail: bytes = b""


def build_layout(
    format: str, fields: Fields | None = None, *, input_keys: Iterable[str] = (), terminal: bool = False
) -> Layout:
    """`format` and `fields` as `selection.Destination` lets them pass. `input_keys`, of the submitted records, become
    columns of CSV. `terminal`: a person will see it live."""
    match format:
        case "csv":
            return _csv(fields or _default_columns(input_keys), terminal)
        case "urls":
            return Layout(lambda line: harmless_url(read_head(line).url).encode() + b"\n")
        case "markdown":
            return Layout(lambda line: build_section(line, terminal=terminal).encode("utf-8", "replace"))
        case "json":
            return _array(fields)
    project = fields.project if fields else None
    return Layout((lambda line: project(line) + b"\n") if project else (lambda line: line + b"\n"))


def build_section(line: bytes, *, terminal: bool) -> str:
    """A page as a section of a markdown document: its URL, then its text or why there is none."""
    page = read_members(line)
    head = f"# {harmless_url(_text(page.get('url')))}\n\n"
    if is_failed(line):
        return f"{head}*not read: {harmless(_text(page.get('error')))}*\n\n"
    text = _text(page.get("markdown")) or _text(page.get("html"))
    return f"{head}{harmless_document(text, terminal=terminal)}\n" if text else head


def _csv(fields: Fields, terminal: bool) -> Layout:
    def cell(value: bytes) -> str:
        """A string's text, nothing for null, the JSON of everything else."""
        if value[:1] == b'"':
            return build_cell(json.loads(value), terminal=terminal)
        return "" if value == b"null" else value.decode()

    titles = [build_cell(name, terminal=terminal) for name in fields.names]
    return Layout(lambda line: build_row(map(cell, fields.values(line))), head=build_row(titles))


def _default_columns(input_keys: Iterable[str]) -> Fields:
    return Fields([*(name.split(".") for name in COLUMNS.split(",")), *(("input", key) for key in input_keys)])


def _array(fields: Fields | None) -> Layout:
    before = chain([b"\n"], repeat(b",\n"))
    project = fields.project if fields else bytes
    return Layout(lambda line: next(before) + project(line), head=b"[", tail=b"\n]\n")


def _text(value: bytes | None) -> str:
    """A string's JSON as text; nothing for anything else."""
    return str(json.loads(value)) if value and value[:1] == b'"' else ""
