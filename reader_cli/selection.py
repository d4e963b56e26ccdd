"""Which pages `results` writes, where and how: its options, checked before anything is asked. Light, for TAB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.errors import UsageError
from reader_cli.waiting import WEBHOOK, FollowOptions

ONLY = ("ok", "failed")
FIELDED = ("jsonl", "json", "csv")
FORMATS = (*FIELDED, "urls", "markdown")
IN_FOLDER = ("markdown", "json")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """`skip` and `limit` count what is left after `only`. With `missing` the lines are `{"url": …}` of what was
    submitted and has no result."""

    only: Annotated[str | None, typer.Option(metavar="ok|failed", help="Only the pages read, or only the failed.")] = (
        None
    )
    skip: Annotated[int, typer.Option(min=0, metavar="N", help="Leave out the first N pages.")] = 0
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="At most N pages.")] = None
    ordered: Annotated[bool, typer.Option("--ordered", help="In the order of the input.")] = False
    missing: Annotated[bool, typer.Option("--missing", help="The submitted URLs that have no result.")] = False
    with_input: Annotated[
        bool, typer.Option("--with-input", help="With the record that was submitted, under the key input.")
    ] = False

    def __post_init__(self) -> None:
        if self.only not in (None, *ONLY):
            raise UsageError(f"--only {self.only!a} is neither ok nor failed")
        if self.only and self.missing:
            raise UsageError("--only chooses among results, and --missing is for URLs that have none")

    @property
    def needs_inputs(self) -> bool:
        """Whether what was submitted must be known."""
        return self.ordered or self.missing or self.with_input

    @property
    def whole(self) -> bool:
        """Whether it is each job's results as the server has them."""
        return self == Selection()

    @property
    def counted_by_server(self) -> bool:
        """Whether it is a stretch of each job's results as the server has them."""
        return replace(self, skip=0, limit=None).whole


@dataclass(frozen=True, kw_only=True)
class Destination:
    """`format` None is JSON lines, in a folder markdown."""

    output: options.Output = None
    output_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="One file a page, and manifest.jsonl.")] = None
    force: options.Force = False
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a FILE.part that was cut.")] = False
    format: Annotated[
        str | None, typer.Option(metavar="jsonl|json|csv|urls|markdown", help="How pages are written [default: jsonl].")
    ] = None
    fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Only these, as in url,metadata.title.")] = None

    def __post_init__(self) -> None:
        if self.format not in (None, *FORMATS):
            raise UsageError(f"--format {self.format!a} is none of {', '.join(FORMATS)}")
        if self.output and self.output_dir:
            raise UsageError("-o writes one file and --output-dir one a page: choose one of them")
        if self.force and not self.place:
            raise UsageError("--force needs -o FILE or --output-dir DIR")
        if self.resume and not self._resumable:
            raise UsageError("--resume needs -o FILE, and can go on with a file alone")
        if self.output_dir and (self.format not in (None, *IN_FOLDER) or self.fields is not None):
            raise UsageError("--output-dir writes markdown, or with --format json the page objects, and no --fields")
        if self.fields is not None and self.format not in (None, *FIELDED):
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


@dataclass(frozen=True, slots=True)
class Request:
    """All of it. `following` None: what is there now."""

    selection: Selection
    destination: Destination
    following: FollowOptions | None

    def __post_init__(self) -> None:
        selection, destination = self.selection, self.destination
        if self.following and (selection.ordered or selection.missing):
            raise UsageError("--ordered and --missing need all pages, and --follow writes them as they finish")
        if self.following and (selection.skip or selection.limit is not None):
            raise UsageError("--skip and --limit do not go with --follow, which goes on to the job's end")
        if self.following and self.following.via == WEBHOOK:
            raise UsageError("--via webhook tells how a job stands and brings no pages: leave it out")
        if selection.missing and (destination.output_dir or destination.format == "markdown"):
            raise UsageError("--missing writes URLs, and neither --format markdown nor --output-dir is for them")
        if selection.with_input and destination.format in ("urls", "markdown"):
            raise UsageError(f"--with-input has no place in --format {destination.format}")

    @property
    def continuable(self) -> bool:
        """Whether a line of the file is an entry of the results, so that one can be read on after the other."""
        return self.destination.plain and self.selection.whole and not self.following
