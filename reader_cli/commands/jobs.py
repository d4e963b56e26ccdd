from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reader_cli import options
from reader_cli.cli import new_app
from reader_cli.each import for_each
from reader_cli.env import Env
from reader_cli.errors import NotFoundLocally, UsageError
from reader_cli.models import ACTIVE, Status
from reader_cli.output.data import write_object
from reader_cli.output.tables import write_table
from reader_cli.output.text import count, moment
from reader_cli.session import Session, open_env, open_session

if TYPE_CHECKING:
    from reader_cli.history import Part

app = new_app()


@app.callback(invoke_without_command=True)
def jobs(
    ctx: typer.Context,
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="Only jobs in this state; repeatable.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="RUN", help="Only jobs of this run.")] = None,
    since: options.Since = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most this many, the newest.")] = 30,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the server for the state of those not ended.")
    ] = False,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Newest first, from the history on this machine, for the server in use. The states are as last seen from here;
    --refresh asks for those that had not ended. What was not submitted is `planned`, or `sent` where no answer came.
    """
    if ctx.invoked_subcommand:
        return 0
    for word in status or ():
        if word not in list(Status):
            raise UsageError(f"--status {word!r} is none of {', '.join(Status)}")
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        earliest = since.unix(env.now()) if since else 0.0

        def read() -> list[Part]:
            return session.history.jobs(
                session.server, statuses=status or (), name=name, since=earliest, limit=limit, unsent=True
            )

        code = _refresh(session, read()) if refresh else 0
        parts = read()
        if session.history.warning and not session.history.run_ids(session.server):
            raise UsageError(f"{session.history.warning}; what was submitted is not known")
        _show(env, parts, json)
        if not parts:
            what = "no such job" if status or name or since else "nothing"
            env.say(f"reader: {what} was submitted from here to this server yet")
        for run_id in dict.fromkeys(part.run_id for part in parts if not part.job_id):
            session.say_missing(session.history.get_run(run_id))
        return code


@app.command()
def forget(
    ctx: typer.Context,
    jobs: options.Jobs,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Erase jobs from the history on this machine.

    Their URLs and records go with them; the server keeps the jobs. A run is erased whole, what was not submitted of it
    included.
    """
    env = open_env(ctx, quiet=quiet)
    with open_session(env, api_url, profile) as session:
        if not session.history.lasting:
            raise UsageError(f"{session.history.warning}; nothing was forgotten")
        forgotten = sum(_forget(session, ref) for ref in jobs)
    if not forgotten:
        raise NotFoundLocally("none of these jobs is in the history", hint="reader jobs")
    env.say(f"reader: forgot {count(forgotten, 'job')}")
    return 0


def _forget(session: Session, ref: str) -> int:
    if run := session.run(ref):
        return session.history.forget_run(run.id)
    return session.history.forget(session.server, [ref])


def _refresh(session: Session, parts: Iterable[Part]) -> int:
    active = [part.job_id for part in parts if part.job_id and (part.status is None or part.status in ACTIVE)]
    return for_each(session.env, active, lambda job_id: session.remember(session.client.get_job(job_id).job))


def _show(env: Env, parts: list[Part], json: bool) -> None:
    if json:
        for part in parts:
            write_object(env, build_job_object(part))
        return
    rows = [
        (
            part.job_id or "-",
            part.name or ("" if part.job_id else part.run_id),
            part.status or part.state,
            f"{part.completed:,}/{part.total or part.urls:,}",
            f"{part.failed:,} failed" if part.failed else "",
            moment(part.submitted),
            part.first_url,
        )
        for part in parts
    ]
    write_table(env, ("JOB", "RUN", "STATUS", "PAGES", "", "SUBMITTED", "FIRST URL"), rows)


def build_job_object(part: Part) -> dict[str, Any]:
    """One job as the history knows it, in the wire's spelling; without an id it was not submitted yet."""
    return {
        "id": part.job_id,
        "run": part.run_id,
        "name": part.name,
        "status": part.status or part.state,
        "mode": part.mode,
        "completed": part.completed,
        "total": part.total or part.urls,
        "failed": part.failed,
        "creditsUsed": part.credits_used,
        "submittedAt": moment(part.submitted),
        "urls": part.urls,
        "firstUrl": part.first_url,
    }
