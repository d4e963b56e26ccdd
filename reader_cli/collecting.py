"""Which pages of which jobs, in which order: what `results` reads, one JSON line a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from reader_cli.output.jsonl import is_failed, read_head
from reader_cli.output.ordering import in_order
from reader_cli.resuming import BEGINNING, Start
from reader_cli.selection import Selection

if TYPE_CHECKING:
    from reader_cli.session import Session
    from reader_cli.submitted import Record, Submitted


class Collector:
    """`folder` is where lines wait that `ordered` holds back, the system's folder for such if None; `patience` the
    seconds that a request is tried for, if not as long as usual. A job's inputs come from the history."""

    def __init__(self, session: Session, selection: Selection, *, folder: Path | None, patience: float | None) -> None:
        self._session = session
        self._selection = selection
        self._folder = folder
        self._patience = patience
        self._followed: dict[str, Submitted] = {}

    def collect(self, job_ids: Sequence[str], start: Start = BEGINNING) -> Iterator[bytes]:
        """The pages of all jobs, one job after the other; from `start` on where the selection is whole."""
        chosen = self._selection
        if len(job_ids) == 1 and chosen.counted_by_server:
            return self._of_job(job_ids[0], chosen.skip + start.entry, chosen.limit)
        first = self._of_job(job_ids[start.job], start.entry)
        lines = chain(first, chain.from_iterable(map(self._of_job, job_ids[start.job + 1 :])))
        return islice(lines, chosen.skip, None if chosen.limit is None else chosen.skip + chosen.limit)

    def choose(self, job_id: str, line: bytes) -> bytes | None:
        """A page that is followed, as it is to be written, or None."""
        if not self._is_wanted(line):
            return None
        if not self._selection.with_input:
            return line
        if job_id not in self._followed:
            self._followed[job_id] = self._submitted(job_id)
        submitted = self._followed[job_id]
        return _join(line, submitted.record(submitted.meet(read_head(line).url)))

    def _of_job(self, job_id: str, skip: int = 0, limit: int | None = None) -> Iterator[bytes]:
        from reader_cli.client.pages import iter_pages

        lines = iter_pages(self._session.client, job_id, skip=skip, limit=limit, patience=self._patience)
        if self._selection.missing:
            return self._missing(job_id, lines)
        if self._selection.ordered or self._selection.with_input:
            lines = self._matched(job_id, lines)
        return filter(self._is_wanted, lines) if self._selection.only else lines

    def _matched(self, job_id: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        submitted = self._submitted(job_id)
        numbered = ((submitted.meet(read_head(line).url), line) for line in lines)
        for number, line in in_order(numbered, self._folder) if self._selection.ordered else numbered:
            yield _join(line, submitted.record(number)) if self._selection.with_input else line

    def _missing(self, job_id: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        submitted = self._submitted(job_id)
        for line in lines:
            submitted.meet(read_head(line).url)
        for number, url in submitted.missing():
            line = json.dumps({"url": url}).encode()
            yield _join(line, submitted.record(number)) if self._selection.with_input else line

    def _submitted(self, job_id: str) -> Submitted:
        from reader_cli.submitted import find_submitted

        return find_submitted(self._session, job_id)

    def _is_wanted(self, line: bytes) -> bool:
        only = self._selection.only
        return only is None or is_failed(line) == (only == "failed")


def _join(line: bytes, record: Record) -> bytes:
    """The page with the record under a last key, `input`; a line that is no object stays as it is."""
    if line[-1:] != b"}":
        return line
    joined = b'"input":' + json.dumps(record).encode() + b"}"
    return line[:-1] + (b"," if line[1:-1].strip() else b"") + joined
