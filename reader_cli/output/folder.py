"""A folder of pages: one file a page, and `manifest.jsonl`, which appears when all of them are there."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.output.files import refuse_existing
from reader_cli.output.jsonl import is_failed, read_head, read_members
from reader_cli.output.names import build_stem
from reader_cli.output.part import PartFile
from reader_cli.output.text import harmless_document

MANIFEST = "manifest.jsonl"
_TEXTS = (("markdown", ".md"), ("html", ".html"))  # the first of these that the page has, or all of it as JSON
_TOLD = ("statusCode", "error", "input")  # of the page, in the manifest


class Folder:
    """Each page becomes a file when it is added, whole or not at all; with `whole_pages` the page object as JSON.

    A second run writes the same names. Everything raises UsageError where the folder cannot be written.
    """

    def __init__(self, env: Env, path: Path, *, force: bool, whole_pages: bool) -> None:
        self._path = path
        self._whole_pages = whole_pages
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(path, error) from None
        refuse_existing(path / MANIFEST, force=force)
        self._manifest = PartFile(env, path / MANIFEST, resume=None)
        # In a temporary file of SQLite's own, so that no number of pages fills the memory.
        self._seen = sqlite3.connect("", isolation_level=None)
        self._seen.execute("CREATE TABLE seen (url BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: object) -> None:
        self._seen.close()
        if kind is None:
            os.sync()  # the manifest must not outlast a power cut that its files don't
        self._manifest.__exit__(kind, value, traceback)

    def add(self, line: bytes) -> None:
        head, page = read_head(line), read_members(line)
        suffix, content = self._build(line, page)
        name = self._name(head.url) + suffix if content is not None else None
        if name and content is not None:
            self._write(name, content)
        told = {"url": json.dumps(head.url).encode(), "file": json.dumps(name).encode()}
        told["status"] = b'"ok"' if head.error is None else b'"failed"'
        told |= {key: page[key] for key in _TOLD if key in page}
        members = b",".join(b'"%s":%s' % (key.encode(), value) for key, value in told.items())
        self._manifest.write(b"{" + members + b"}\n")

    def flush(self) -> None:
        """Each page is in its file already."""

    def _build(self, line: bytes, page: dict[str, bytes]) -> tuple[str, bytes | None]:
        """A file's suffix and what is in it; of a page that failed there is none."""
        if self._whole_pages:
            return ".json", line + b"\n"
        if is_failed(line):
            return "", None
        for key, suffix in _TEXTS:
            if page.get(key, b"")[:1] == b'"':
                text = harmless_document(json.loads(page[key]), terminal=False)
                return suffix, text.encode("utf-8", "replace")
        return ".json", line + b"\n"

    def _name(self, url: str) -> str:
        """One URL may have several pages: it was submitted twice, or in two jobs."""
        counted = "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        times = self._seen.execute(counted, (url.encode("utf-8", "surrogatepass"),)).fetchone()[0]
        return build_stem(url, times)

    def _write(self, name: str, content: bytes) -> None:
        part = self._path / f"{name}.part"
        try:
            part.write_bytes(content)
            part.replace(self._path / name)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise _refused(self._path / name, error) from None


def _refused(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be written: {error.strerror or error}")
