"""What a JOB on the command line names (cli: JOB): an id, `@last`, `@-2`, a run's name, a prefix."""

from __future__ import annotations

import re

from reader_cli.errors import NotFoundLocally, UsageError
from reader_cli.history import History, Run

_COUNTED = re.compile(r"@last|@-([1-9]\d{0,8})")
_NAME = re.compile(r"[^\W_][\w.:+-]{0,99}")
_ID = re.compile(r"[^\s/?#%\\]{1,200}")


def resolve(ref: str, history: History, server: str, *, reading: bool) -> list[str]:
    """The ids of the jobs that `ref` names on `server`, several for a run of several.

    In this order: an id of the history, `@last` and `@-N`, the newest run of that name, with `reading` a prefix of one
    id; else `ref` is itself an id. Raises NotFoundLocally where a submission has no job, UsageError for what can be no
    reference and for a prefix of several.
    """
    if run := named_run(ref, history, server):
        return _jobs_of(run)
    if history.find_job(server, ref):
        return [ref]
    return _starting(ref, history, server) if reading else [ref]


def lasting_words(ref: str, history: History, server: str, *, reading: bool) -> list[str]:
    """Words for a later command, that name what `ref` names now: `@last` will be another submission by then, and not
    every command takes a prefix. Raises as `resolve` does."""
    run = named_run(ref, history, server)
    if run is None:
        return resolve(ref, history, server, reading=reading)
    if not ref.startswith("@"):
        return [ref]
    return run.job_ids if len(run.job_ids) == 1 else [run.id]


def named_run(ref: str, history: History, server: str) -> Run | None:
    """The run that `ref` names, be it by `@last` or `@-2`; None where it is a job's id. Raises as `resolve` does."""
    if ref.startswith("@"):
        return _nth(ref, history, server)
    if not _ID.fullmatch(ref) or not ref.isprintable():
        raise UsageError(f"{ref!a} is neither a job's id nor a run's name")
    if history.find_job(server, ref):
        return None
    runs = history.run_ids(server, ref)
    return history.get_run(runs[0]) if runs else None


def find_run(ref: str, history: History, server: str) -> Run:
    """The run to resume: by id, by name (the newest), by the id of one of its jobs, or `@last`, `@-2` of *all* runs,
    those of which nothing was sent yet included. Raises NotFoundLocally, UsageError."""
    if ref.startswith("@"):
        runs = history.run_ids(server)[_count(ref) - 1 :]
    elif part := history.find_job(server, ref):
        runs = [part.run_id]
    else:
        runs = history.run_ids(server, ref)
    if not runs:
        raise NotFoundLocally(f"the history knows no run {ref!a} on this server", hint="reader jobs")
    return history.get_run(runs[0])


def check_name(name: str) -> str:
    """`name` for a run. Raises UsageError for one that could not be told from another reference."""
    if not _NAME.fullmatch(name) or name.startswith(("job_", "run_")):
        raise UsageError(
            f"{name!a} is no name for a run",
            hint="Use at most 100 letters, digits and . _ : + -; begin with a letter or digit, not with job_ or run_.",
        )
    return name


def _count(ref: str) -> int:
    match = _COUNTED.fullmatch(ref)
    if match is None:
        raise UsageError(f"{ref!a} is no reference", hint="@last is the newest submission, @-2 the one before it.")
    return int(match[1] or 1)


def _nth(ref: str, history: History, server: str) -> Run:
    run = history.nth_submission(server, _count(ref))
    if run is None:
        raise NotFoundLocally(
            f"{ref} names nothing: not so much was submitted from here to this server", hint="reader jobs"
        )
    return run


def _jobs_of(run: Run) -> list[str]:
    if not run.job_ids:
        raise NotFoundLocally(f"run {run.name or run.id} has no job yet", hint=f"reader submit --resume {run.id}")
    return run.job_ids


def _starting(prefix: str, history: History, server: str) -> list[str]:
    found = history.job_ids_starting(server, prefix)
    if len(found) > 1:
        raise UsageError(f"{prefix!a} fits several jobs: {', '.join(found)}", hint="Type more of the id.")
    return found or [prefix]
