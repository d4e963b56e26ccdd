"""URLs out of arguments, files, standard input, CSV, JSONL and sitemaps (cli: submit, Input)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from reader_cli.errors import UsageError
from reader_cli.inputs.records import (
    MAX_LINE,
    Complaint,
    Entry,
    Item,
    build_entry,
    parse_jsonl,
    parse_lines,
    parse_table,
    place,
)
from reader_cli.inputs.sitemaps import Fetch, read_sitemap

__all__ = ["FORMATS", "Complaint", "Fetch", "InputResult", "Item", "read_inputs"]

FORMATS = ("lines", "csv", "tsv", "jsonl", "sitemap")
_FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".xml": "sitemap",
}
_SHOWN_COMPLAINTS = 10


@dataclass(frozen=True, slots=True)
class InputResult:
    """`items` in the order given; `duplicates` were dropped; `skipped` only under `skip_invalid`."""

    items: list[Item]
    duplicates: int
    skipped: list[Complaint]


def read_inputs(
    args: Sequence[str],
    files: Sequence[str],
    *,
    stdin: BinaryIO,
    input_format: str | None = None,
    url_column: str = "url",
    sitemaps: Sequence[str] = (),
    skip_invalid: bool = False,
    keep_duplicates: bool = False,
    fetch: Fetch | None = None,
) -> InputResult:
    """Reads every input to its end before anything is sent.

    `input_format` (one of FORMATS) overrides the suffix of `files`; "-", in `files` or `args`, is `stdin`. `fetch`
    yields the body of a remote sitemap. Two spellings of one URL (case of scheme and host, default port, empty path)
    are duplicates. Raises UsageError: a file that can't be read, and, unless `skip_invalid`, bad lines, the first
    ten of them told with file and number.
    """
    files = [*files, *(arg for arg in args if arg == "-")]
    if input_format not in (None, *FORMATS):
        raise UsageError(f"{input_format!a} is not an input format; there are {', '.join(FORMATS)}")
    if [*files, *sitemaps].count("-") > 1:
        raise UsageError("standard input can be read only once: '-' was given twice")
    entries = chain(
        _read_args(args),
        *(_read_file(name, input_format or _format_of(name), url_column, stdin, fetch) for name in files),
        *(_read_file(name, "sitemap", url_column, stdin, fetch) for name in sitemaps),
    )
    result = _collect(entries, keep_duplicates)
    if result.skipped and not skip_invalid:
        raise _complain(result.skipped)
    return result


def _collect(entries: Iterator[Entry], keep_duplicates: bool) -> InputResult:
    items: list[Item] = []
    complaints: list[Complaint] = []
    seen: set[str] = set()
    duplicates = 0
    for entry in entries:
        if isinstance(entry, Complaint):
            complaints.append(entry)
        elif entry[1] in seen and not keep_duplicates:
            duplicates += 1
        else:
            seen.add(entry[1])
            items.append(entry[0])
    return InputResult(items, duplicates, complaints)


def _complain(complaints: list[Complaint]) -> UsageError:
    shown = [str(complaint) for complaint in complaints[:_SHOWN_COMPLAINTS]]
    if more := len(complaints) - len(shown):
        shown.append(f"and {more} more")
    return UsageError(
        "nothing was sent; " + "\n  ".join(["these are not URLs:", *shown] if len(shown) > 1 else shown),
        hint="--skip-invalid sends the others.",
    )


def _read_args(args: Sequence[str]) -> Iterator[Entry]:
    for number, text in enumerate(args, 1):
        if text != "-":
            if "//" not in text and Path(text).is_file():
                raise UsageError(f"{text!a} is a file here, not a URL", hint=f"To read URLs from it: -f {text!a}")
            yield build_entry(text.strip(), None, "args", number)


def _format_of(name: str) -> str:
    return _FORMAT_OF_SUFFIX.get(Path(name.lower().removesuffix(".gz")).suffix, "lines")


def _read_file(name: str, form: str, url_column: str, stdin: BinaryIO, fetch: Fetch | None) -> Iterator[Entry]:
    try:
        if form == "sitemap":
            yield from read_sitemap(name, stdin, fetch)
        else:
            with _opened(name, stdin) as stream:
                yield from _parse(_text_lines(stream, name), name, form, url_column)
    except OSError as error:
        hint = "A remote sitemap's URL begins with https:// here." if form == "sitemap" else ""
        raise UsageError(f"cannot read {name!a}: {error.strerror or error}", hint=hint) from None


def _parse(lines: Iterator[str], source: str, form: str, url_column: str) -> Iterator[Entry]:
    match form:
        case "csv" | "tsv":
            return parse_table(lines, source, url_column, "," if form == "csv" else "\t")
        case "jsonl":
            return parse_jsonl(lines, source, url_column)
        case _:
            return parse_lines(lines, source)


@contextmanager
def _opened(name: str, stdin: BinaryIO) -> Iterator[BinaryIO]:
    if name == "-":
        yield stdin
    else:
        with Path(name).open("rb") as stream:
            yield stream


def _text_lines(stream: BinaryIO, source: str) -> Iterator[str]:
    """Decoded lines, without the BOM. Bytes that are not UTF-8 become lone surrogates, for the parser to complain."""
    for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), b""), 1):
        if len(raw) > MAX_LINE:
            raise UsageError(f"{place(source, number)} is longer than {MAX_LINE >> 20} MiB")
        if number == 1:
            raw = _checked_start(raw, source)
        if b"\0" in raw:
            raise UsageError(f"{place(source, number)} holds NUL bytes: this is not a text file")
        yield raw.decode("utf-8", "surrogateescape")


def _checked_start(raw: bytes, source: str) -> bytes:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{source} is UTF-16 text", hint=f"iconv -f UTF-16 -t UTF-8 {source!a} | reader submit -f -")
    if raw.startswith(b"\x1f\x8b"):
        raise UsageError(f"{source} is compressed", hint=f"zcat {source!a} | reader submit -f -")
    return raw.removeprefix(b"\xef\xbb\xbf")
