"""What `results` does once its options are parsed: pages of jobs to where they go, those that are there or to come."""

from __future__ import annotations

from collections.abc import Sequence

from reader_cli.collecting import Collector
from reader_cli.errors import ExitCode
from reader_cli.output.text import LONGEST_PATH, count, harmless
from reader_cli.output.writers import open_writer, part_of
from reader_cli.resuming import BEGINNING, find_start
from reader_cli.selection import Request
from reader_cli.session import Session
from reader_cli.waiting import Target


def deliver(session: Session, request: Request, refs: Sequence[str], *, patience: float | None) -> int:
    """Returns the exit code. `patience`: seconds that a request is tried for, if not as long as usual."""
    selection, destination = request.selection, request.destination
    job_ids = session.job_ids(refs, reading=True)
    keys = _input_keys(session, request, job_ids) if selection.needs_inputs else []
    collector = Collector(session, selection, folder=destination.folder, patience=patience)
    with open_writer(session.env, destination, input_keys=keys) as writer:
        if request.following:
            from reader_cli.following import follow_results

            target = Target(job_ids=job_ids, refs=session.words(refs, reading=True))
            tally = follow_results(session, target, request.following, writer, collector.choose)
            return tally.exit_code(request.following.limit)
        part = part_of(writer)
        start = find_start(session.client, job_ids, part) if part and request.continuable else BEGINNING
        written = 0
        for line in collector.collect(job_ids, start):
            writer.add(line)
            written += 1
    if destination.place:
        what = count(written, "URL" if selection.missing else "page")
        session.env.say(f"reader: {what} written to {harmless(destination.place, LONGEST_PATH)}")
    return ExitCode.OK


def _input_keys(session: Session, request: Request, job_ids: Sequence[str]) -> list[str]:
    """The columns that a table has for the records submitted. Raises NotFoundLocally for a job not submitted from
    here."""
    from reader_cli.submitted import check_submitted, record_keys

    check_submitted(session, job_ids)
    tabular = request.selection.with_input and request.destination.format == "csv"
    return record_keys(session, job_ids) if tabular else []
