"""Parsers of lists: lines in, items and complaints out. None of them opens, fetches or prints anything."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from reader_cli.errors import UsageError
from reader_cli.inputs.urls import clean_url, not_utf8

MAX_LINE = 1 << 20  # bytes: a line of a list, a cell of a table


class Item(NamedTuple):
    """A URL to submit. `record`: the further columns or keys of its row; `source`: "args", a file's name, "-".

    A tuple, for there may be a million: it is made four times as fast as a frozen dataclass.
    """

    url: str
    record: dict[str, Any] | None
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class Complaint:
    """A line that names no URL. `reason` completes "this line …"; `text` is hostile, `str()` of all of it is not."""

    source: str
    line: int
    text: str
    reason: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 80 else self.text[:79] + "…"
        return f"{place(self.source, self.line)} {self.reason}: {shown!a}"


Entry = tuple[Item, str] | Complaint
"""An item with the spelling of its URL under which duplicates meet, or why there is none."""


def place(source: str, line: int) -> str:
    if source == "args":
        return f"argument {line}"
    return f"{'standard input' if source == '-' else source}, line {line}"


def build_entry(text: str, record: dict[str, Any] | None, source: str, line: int) -> Entry:
    try:
        url, identity = clean_url(text)
    except ValueError as error:
        return Complaint(source, line, text, str(error))
    return Item(url, record, source, line), identity


def parse_lines(lines: Iterable[str], source: str) -> Iterator[Entry]:
    """One URL a line; blank lines and lines that begin with `#` are skipped."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text[0] == "#":
            continue
        entry = build_entry(text, None, source, number)
        if text[0] == "{" and isinstance(entry, Complaint):
            entry = Complaint(source, number, text, "is JSON (--input-format jsonl reads it)")
        yield entry


def parse_jsonl(lines: Iterable[str], source: str, url_key: str) -> Iterator[Entry]:
    """One JSON object a line; its other keys become the record."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text:
            yield _json_entry(text, source, number, url_key)


def _json_entry(text: str, source: str, number: int, url_key: str) -> Entry:
    try:
        record = _strict_json(text)
    except ValueError as error:
        return Complaint(source, number, text, str(error))
    url = record.pop(url_key, None)
    if not isinstance(url, str):
        return Complaint(source, number, text, f"has no string under the key {url_key!a}")
    return build_entry(url.strip(), record, source, number)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError("it is beyond what a float can hold")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _strict_json(text: str) -> dict[str, Any]:
    if not_utf8(text):
        raise ValueError("is not UTF-8 text")
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("is JSON nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"holds a number that cannot be kept ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    return value


def parse_table(lines: Iterator[str], source: str, url_column: str, delimiter: str) -> Iterator[Entry]:
    """CSV (RFC 4180) or TSV with a header row; the other columns become the record. `;` is taken where no `,` is.

    Raises UsageError for what makes the whole table unreadable: no such column, a quote that is never closed.
    """
    rows = _rows(lines, source, delimiter)
    _, header = next(rows, (1, [url_column]))  # an empty file is an empty list
    names = _column_names(header)
    url_at = _find_column(names, url_column, source)
    for number, row in rows:
        if any(row):
            yield _row_entry(row, names, url_at, source, number)


def _rows(lines: Iterator[str], source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows, each with the line on which it begins. Strict: a lenient reader swallows rows after a stray quote."""
    first = next(lines, "")
    if not first:
        return
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    start = 1
    try:
        for row in reader:
            yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        told = "a quote is never closed" if "end of data" in str(error) or "field larger" in str(error) else str(error)
        raise UsageError(f"{place(source, start)} is not a row of the table: {told}") from None


def _column_names(header: list[str]) -> list[str]:
    """Names that are all there and all different: nothing of a row may get lost under a second `note`."""
    names: list[str] = []
    for number, cell in enumerate(header, 1):
        name = cell.strip() or f"column_{number}"
        names.append(name if name not in names else f"{name}_{number}")
    return names


def _find_column(names: list[str], wanted: str, source: str) -> int:
    if wanted in names:
        return names.index(wanted)
    lower = [name.lower() for name in names]
    if lower.count(wanted.lower()) == 1:
        return lower.index(wanted.lower())
    shown = ", ".join(ascii(name) for name in names[:10])
    raise UsageError(
        f"{place(source, 1)}: the header has no column {wanted!a}, it has {shown}",
        hint="Name the column with --url-column; the first line must be the header.",
    )


def _row_entry(row: list[str], names: list[str], url_at: int, source: str, number: int) -> Entry:
    text = row[url_at].strip() if url_at < len(row) else ""
    if len(row) > len(names):
        return Complaint(source, number, text, f"has {len(row)} cells, the header {len(names)}")
    if not text:
        return Complaint(source, number, ",".join(row), f"has nothing under {names[url_at]!a}")
    if not_utf8("".join(row)):
        return Complaint(source, number, text, "is not UTF-8 text")
    record = dict(zip(names, row, strict=False))
    del record[names[url_at]]
    return build_entry(text, record, source, number)
