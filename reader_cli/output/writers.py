"""Where pages go and how they are written there: stdout, one file, or a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.output.fields import Fields
from reader_cli.output.files import Output, PartFile, open_output
from reader_cli.output.folder import Folder
from reader_cli.output.formats import FIELDED, FORMATS, Layout, build_layout

IN_FOLDER = ("markdown", "json")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """`format` None is JSON lines, in a folder markdown. Raises UsageError for what can't be together."""

    output: Path | None = None
    output_dir: Path | None = None
    force: bool = False
    resume: bool = False
    format: str | None = None
    fields: Fields | None = None

    def __post_init__(self) -> None:
        if self.format not in (None, *FORMATS):
            raise UsageError(f"--format {self.format!a} is none of {', '.join(FORMATS)}")
        if self.output and self.output_dir:
            raise UsageError("-o writes one file and --output-dir one a page: choose one of them")
        if self.force and not (self.output or self.output_dir):
            raise UsageError("--force needs -o FILE or --output-dir DIR")
        if self.resume and not self._resumable:
            raise UsageError("--resume needs -o FILE, and can go on with a file alone")
        if self.output_dir and (self.format not in (None, *IN_FOLDER) or self.fields):
            raise UsageError("--output-dir writes markdown, or with --format json the page objects, and no --fields")
        if self.fields and self.format not in (None, *FIELDED):
            raise UsageError(f"--fields does not go with --format {self.format}; it does with {', '.join(FIELDED)}")

    @property
    def place(self) -> Path | None:
        return self.output or self.output_dir

    @property
    def folder(self) -> Path | None:
        """The folder in which as much may lie for a while as will be written."""
        return self.output.absolute().parent if self.output else self.output_dir

    @property
    def plain(self) -> bool:
        """Whether a line of it is a page as it was sent."""
        return self.output_dir is None and self.format in (None, "jsonl") and self.fields is None

    @property
    def finished(self) -> bool:
        """Whether there is a whole file, and nothing to resume."""
        return self.resume and not self.force and self.output is not None and self.output.is_file()

    @property
    def _resumable(self) -> bool:
        return (
            self.output is not None and str(self.output) != "-" and (self.output.is_file() or not self.output.exists())
        )


class Pages:
    """Takes pages' JSON lines, without their newline, and writes them one after the other; with `flush` each at once,
    for a reader who waits for it."""

    def __init__(self, out: Output, layout: Layout, *, flush: bool) -> None:
        self.out = out
        self._layout = layout
        self._flush = flush
        if layout.head:
            out.write(layout.head)

    def add(self, line: bytes) -> None:
        self.out.write(self._layout.page(line))
        if self._flush:
            self.out.flush()

    def end(self) -> None:
        if self._layout.tail:
            self.out.write(self._layout.tail)


@contextmanager
def open_writer(
    env: Env, destination: Destination, *, input_keys: Iterable[str] = (), flush: bool = False
) -> Iterator[Pages | Folder]:
    """What it writes is whole when the block ends well. Raises UsageError where it can't be written."""
    if destination.output_dir:
        whole_pages = destination.format == "json"
        with Folder(env, destination.output_dir, force=destination.force, whole_pages=whole_pages) as folder:
            yield folder
        return
    resume = destination.resume
    with open_output(env, destination.output, force=destination.force, resume=resume) as out:
        terminal = out is env.stdout and env.stdout_tty
        layout = build_layout(
            destination.format or "jsonl", destination.fields, input_keys=input_keys, terminal=terminal
        )
        pages = Pages(out, layout, flush=flush)
        yield pages
        pages.end()


def part_of(writer: Pages | Folder) -> PartFile | None:
    """The file in which an earlier run left something to go on from."""
    part = writer.out if isinstance(writer, Pages) else None
    return part if isinstance(part, PartFile) and part.resumed else None


def build_line_writer(out: Output) -> Callable[[str, bytes], None]:
    """For pages that are followed: each as one JSON line, at once."""
    pages = Pages(out, build_layout("jsonl"), flush=True)
    return lambda job_id, line: pages.add(line)
