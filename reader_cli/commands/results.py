from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.collecting import Collector, Selection
from reader_cli.errors import ExitCode, UsageError
from reader_cli.following import FollowOptions, Target, follow_results
from reader_cli.output.fields import Fields
from reader_cli.output.files import LONGEST_PATH
from reader_cli.output.folder import Folder
from reader_cli.output.text import count, harmless
from reader_cli.output.writers import Destination, Pages, open_writer, part_of
from reader_cli.resuming import BEGINNING, find_start
from reader_cli.session import Session, open_env, open_session
from reader_cli.submitted import check_submitted, record_keys

USUAL = FollowOptions()


def results(
    ctx: typer.Context,
    jobs: options.Jobs,
    *,
    output: options.Output = None,
    output_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="One file a page, and manifest.jsonl.")] = None,
    force: options.Force = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a FILE.part that was cut.")] = False,
    format: Annotated[
        str | None, typer.Option(metavar="jsonl|json|csv|urls|markdown", help="How pages are written [default: jsonl].")
    ] = None,
    fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Only these, as in url,metadata.title.")] = None,
    only: Annotated[
        str | None, typer.Option(metavar="ok|failed", help="Only the pages read, or only the failed.")
    ] = None,
    skip: Annotated[int, typer.Option(min=0, metavar="N", help="Leave out the first N pages.")] = 0,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="At most N pages.")] = None,
    ordered: Annotated[bool, typer.Option("--ordered", help="In the order of the input.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="The submitted URLs that have no result.")] = False,
    with_input: Annotated[
        bool, typer.Option("--with-input", help="With the record that was submitted, under the key input.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Pages as they finish, until the job ends.")] = False,
    following: FollowOptions,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """A line is the page object as the server sent it. Partial results of failed and cancelled jobs are read like any
    others. Exits 0 whatever became of the job; with --follow it exits as watch does.
    """
    selection = Selection(only=only, skip=skip, limit=limit, ordered=ordered, missing=missing, with_input=with_input)
    destination = Destination(
        output=output,
        output_dir=output_dir,
        force=force,
        resume=resume,
        format=format,
        fields=Fields.parse(fields) if fields is not None else None,
    )
    request = Request(selection, destination, following if follow else None)
    if not follow:
        _refuse_waiting(following)
    env = open_env(ctx, quiet=quiet)
    if destination.finished:
        env.say(f"reader: {harmless(output, LONGEST_PATH)} is whole: nothing to do (--force replaces it)")
        return ExitCode.OK
    patience = None if following.give_up_after == USUAL.give_up_after else following.give_up_after
    with open_session(env, api_url, profile) as session:
        return _write(session, request, jobs, patience)


@dataclass(frozen=True, slots=True)
class Request:
    """`following` None: what is there now. Raises UsageError for what can't be together."""

    selection: Selection
    destination: Destination
    following: FollowOptions | None

    def __post_init__(self) -> None:
        selection, destination = self.selection, self.destination
        if self.following and (selection.ordered or selection.missing):
            raise UsageError("--ordered and --missing need all pages, and --follow writes them as they finish")
        if self.following and (selection.skip or selection.limit is not None):
            raise UsageError("--skip and --limit do not go with --follow, which goes on to the job's end")
        if selection.missing and (destination.output_dir or destination.format == "markdown"):
            raise UsageError("--missing writes URLs, and neither --format markdown nor --output-dir is for them")
        if selection.with_input and destination.format in ("urls", "markdown"):
            raise UsageError(f"--with-input has no place in --format {destination.format}")

    @property
    def continuable(self) -> bool:
        """Whether a line of the file is an entry of the results, so that one can be read on after the other."""
        return self.destination.plain and self.selection.whole and not self.following


def _refuse_waiting(following: FollowOptions) -> None:
    """Of these, reading what is there takes --give-up-after alone, and --progress has nothing to show."""
    if following != replace(USUAL, give_up_after=following.give_up_after, progress=following.progress):
        raise UsageError("--via, --interval, --timeout and --max-failures need --follow")


def _write(session: Session, request: Request, refs: Sequence[str], patience: float | None) -> int:
    selection, destination = request.selection, request.destination
    job_ids = session.job_ids(refs, reading=True)
    if selection.needs_inputs:
        check_submitted(session, job_ids)
    collector = Collector(session, selection, folder=destination.folder, patience=patience)
    keys = record_keys(session, job_ids) if selection.with_input and destination.format == "csv" else ()
    with open_writer(session.env, destination, input_keys=keys, flush=bool(request.following)) as writer:
        if request.following:
            return _follow(session, collector, writer, Target(job_ids=job_ids, refs=refs), request.following)
        part = part_of(writer)
        start = find_start(session.client, job_ids, part) if part and request.continuable else BEGINNING
        written = 0
        for line in collector.collect(job_ids, start):
            writer.add(line)
            written += 1
    if destination.place:
        session.env.say(
            f"reader: {count(written, 'URL' if selection.missing else 'page')} written to {destination.place}"
        )
    return ExitCode.OK


def _follow(
    session: Session, collector: Collector, writer: Pages | Folder, target: Target, following: FollowOptions
) -> int:
    def write(job_id: str, line: bytes) -> None:
        if (chosen := collector.choose(job_id, line)) is not None:
            writer.add(chosen)

    return follow_results(session, target, following, write).exit_code(following.limit)
