"""Sitemaps (sitemaps.org protocol 0.9): URL sets and indexes, plain or gzipped, local or remote.

Parsed with the standard library's expat, a stream at a time: lxml belongs to the engine's extra, and what makes XML
dangerous is refused here before it begins: a DOCTYPE, and with it every entity.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast
from xml.parsers import expat

from reader_cli.errors import UsageError
from reader_cli.inputs.records import Complaint, Entry, build_entry
from reader_cli.inputs.urls import clean_url

Fetch = Callable[[str], Iterator[bytes]]

# The protocol's own limits are 50 MB and 50,000 URLs a file, and no index inside an index.
MAX_BYTES = 100 << 20  # of one file, unpacked
MAX_FILES = 50_000
MAX_DEPTH = 3  # indexes in a row
_MAX_LOC = 16_384  # characters
_MAX_NESTING = 32
_BLOCK = 1 << 16


def read_sitemap(location: str, stdin: BinaryIO, fetch: Fetch | None) -> Iterator[Entry]:
    """Every page that the sitemap at `location` (a URL, a file, "-") names, through its indexes, each file once.

    `fetch(url)` yields the body of a GET. Raises UsageError for what is no sitemap or passes a limit, and whatever
    `fetch` raises.
    """
    waiting, seen = [(location, 0)], {location}
    while waiting:
        source, depth = waiting.pop()
        inner: list[str] = []
        for in_index, entry in _read_one(_open(source, stdin, fetch), source):
            if isinstance(entry, Complaint) or not in_index:
                yield entry
            elif entry[0].url not in seen:
                seen.add(entry[0].url)
                inner.append(entry[0].url)
        if inner and (depth == MAX_DEPTH or len(seen) > MAX_FILES):
            raise UsageError(f"{location}: its indexes lead to indexes too deep, or to more than {MAX_FILES} files")
        waiting += [(url, depth + 1) for url in reversed(inner)]


def _read_one(opened: io.BufferedReader, source: str) -> Iterator[tuple[bool, Entry]]:
    """The `<loc>`s of one file, each with whether it names another sitemap."""
    parser = _LocParser()
    try:
        with closing(opened) as stream:
            for block in _blocks(_unpacked(stream), source):
                parser.feed(block)
                yield from parser.entries(source)
        parser.feed(b"", last=True)
        yield from parser.entries(source)
    except (expat.ExpatError, _NotASitemap) as error:
        raise UsageError(f"{source} is not a sitemap: {error}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{source} cannot be unpacked: {error}") from None


def _open(source: str, stdin: BinaryIO, fetch: Fetch | None) -> io.BufferedReader:
    if source == "-":
        return io.BufferedReader(_Blocks(iter(lambda: stdin.read(_BLOCK), b"")), _BLOCK)
    if not source.lower().startswith(("http://", "https://")):
        return Path(source).open("rb")
    if fetch is None:
        raise UsageError(f"{source} is remote, and only local sitemaps are read here")
    return io.BufferedReader(_Blocks(fetch(clean_url(source)[0])), _BLOCK)


class _Blocks(io.RawIOBase):
    """Blocks as they arrive, made a file that gzip can read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if isinstance(self._blocks, Generator):
            self._blocks.close()  # and with it the response
        super().close()


def _unpacked(stream: io.BufferedReader) -> BinaryIO:
    """By what the file begins with, not by its name: servers unpack `.gz` on the way, or don't."""
    if stream.peek(2)[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    return stream


def _blocks(stream: BinaryIO, source: str) -> Iterator[bytes]:
    size = 0
    while block := stream.read(_BLOCK):
        size += len(block)
        if size > MAX_BYTES:
            raise UsageError(f"{source} is larger than {MAX_BYTES >> 20} MiB")
        yield block


class _NotASitemap(Exception):
    pass


class _LocParser:
    """Collects `<url><loc>` and `<sitemap><loc>`, whatever the namespace; `<image:loc>` has another parent."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.buffer_text = True
        self._path: list[str] = []
        self._text = ""
        self._found: list[tuple[bool, str, int]] = []

    def feed(self, block: bytes, last: bool = False) -> None:
        self._parser.Parse(block, last)

    def entries(self, source: str) -> Iterator[tuple[bool, Entry]]:
        found, self._found = self._found, []
        for in_index, text, line in found:
            yield in_index, build_entry(text, None, source, line)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._path.append(name.rpartition(" ")[2])
        self._text = ""
        if len(self._path) == 1 and self._path[0] not in ("urlset", "sitemapindex"):
            raise _NotASitemap(f"its root is <{self._path[0][:40]}>")
        if len(self._path) > _MAX_NESTING:
            raise _NotASitemap("its elements are nested too deeply")

    def _characters(self, text: str) -> None:
        if self._path[-1] == "loc":
            self._text += text
            if len(self._text) > _MAX_LOC:
                raise _NotASitemap(f"a <loc> is longer than {_MAX_LOC} characters")

    def _end(self, _name: str) -> None:
        ended = self._path[1:]
        self._path.pop()
        if ended in (["url", "loc"], ["sitemap", "loc"]):
            self._found.append((ended[0] == "sitemap", self._text.strip(), self._parser.CurrentLineNumber))

    def _doctype(self, *_declaration: object) -> None:
        raise _NotASitemap("it has a DOCTYPE, which a sitemap has no use for")
