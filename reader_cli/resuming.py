"""Where a FILE.part that was cut goes on, so that what it holds need not be read again (cli: results, --resume).

For JSON lines of whole jobs, one line an entry. Entries keep their place and only a retry changes them, those that
failed (contract: what the engine adds). So what is compared with the server is every stretch of the file that holds a
failed page, or what is no page (a power cut leaves zeros), and the last one of each job; the others are believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from reader_cli.models import MAX_LIMIT
from reader_cli.output.jsonl import Head
from reader_cli.output.part import OldLines, PartFile

if TYPE_CHECKING:
    from reader_cli.client.api import Client

STRETCH = 4 << 20  # bytes of lines that are held at once


class Start(NamedTuple):
    """The entry to read first: of which of the jobs, and its place in that job's results."""

    job: int
    entry: int


BEGINNING = Start(0, 0)


class _Differs(Exception):
    pass


def find_start(client: Client, job_ids: Sequence[str], part: PartFile) -> Start:
    """Where to read on. `part` is cut after its last whole line, or emptied where it differs. Raises as reading
    does."""
    old = part.old_lines()
    start = BEGINNING
    try:
        for number, job_id in enumerate(job_ids):
            start = Start(number, _match(client, job_id, old))
            if old.ended:
                break
        else:
            raise _Differs
    except _Differs:
        part.start_again()
        return BEGINNING
    part.go_on(old.position)
    return start


def _match(client: Client, job_id: str, old: OldLines) -> int:
    """How many entries of the job the lines are. Raises _Differs."""
    from reader_cli.client.pages import iter_pages

    entries = client.get_job(job_id).pagination.get("total", 0)
    entry = 0
    while entry < entries and not old.ended:
        lines = old.take(min(MAX_LIMIT, entries - entry), STRETCH)
        last = old.ended or entry + len(lines) == entries
        if last or any(map(_is_doubtful, lines)):
            now = iter_pages(client, job_id, skip=entry, limit=len(lines))
            if [line + b"\n" for line in now] != lines:
                raise _Differs
        entry += len(lines)
    return entry


def _is_doubtful(line: bytes) -> bool:
    try:
        return msgspec.json.decode(line, type=Head).error is not None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
