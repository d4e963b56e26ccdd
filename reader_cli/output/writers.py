"""Where pages go and how they are written there: stdout, one file, or a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reader_cli.env import Env
from reader_cli.output.fields import Fields
from reader_cli.output.files import Output, open_output
from reader_cli.output.formats import Layout, build_layout
from reader_cli.output.part import PartFile

if TYPE_CHECKING:
    from reader_cli.output.folder import Folder
    from reader_cli.selection import Destination


class Pages:
    """Takes pages' JSON lines, without their newline, and writes them one after the other."""

    def __init__(self, out: Output, layout: Layout) -> None:
        self.out = out
        self._layout = layout
        if layout.head:
            out.write(layout.head)

    def add(self, line: bytes) -> None:
        self.out.write(self._layout.page(line))

    def flush(self) -> None:
        """For a reader who waits for what was written."""
        self.out.flush()

    def end(self) -> None:
        if self._layout.tail:
            self.out.write(self._layout.tail)


@contextmanager
def open_writer(env: Env, destination: Destination, *, input_keys: Iterable[str] = ()) -> Iterator[Pages | Folder]:
    """What it writes is whole when the block ends well. Raises UsageError where it can't be written."""
    if destination.output_dir:
        from reader_cli.output.folder import Folder

        whole_pages = destination.format == "json"
        with Folder(env, destination.output_dir, force=destination.force, whole_pages=whole_pages) as folder:
            yield folder
        return
    fields = Fields.parse(destination.fields) if destination.fields is not None else None
    with open_output(env, destination.output, force=destination.force, resume=destination.resume) as out:
        terminal = out is env.stdout and env.stdout_tty
        layout = build_layout(destination.format or "jsonl", fields, input_keys=input_keys, terminal=terminal)
        pages = Pages(out, layout)
        yield pages
        pages.end()


def part_of(writer: Pages | Folder) -> PartFile | None:
    """The file in which an earlier run left something to go on from."""
    part = writer.out if isinstance(writer, Pages) else None
    return part if isinstance(part, PartFile) and part.resumed else None
