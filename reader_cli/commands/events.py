from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reader_cli import options
from reader_cli.completing import complete_job
from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.events import Notice
from reader_cli.output.data import write_object
from reader_cli.output.text import harmless
from reader_cli.session import open_env, open_session

if TYPE_CHECKING:
    from reader_cli.client.workspace import WorkspaceEvent


def events(
    ctx: typer.Context,
    job: Annotated[
        list[str] | None,
        typer.Option(metavar="JOB", help="Only events of this job; repeatable.", autocompletion=complete_job),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="KIND,KIND", help="Of progress, completed, failed and cancelled.")
    ] = None,
    timeout: options.Timeout = None,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """One event a line, `{"event": "job:progress", "jobId", …}`, as the server sent it. A connection that is lost is
    opened again, for as long as it takes; Ctrl-C ends it (exit 130). `reader watch` is for what ends with a job.
    """
    env = open_env(ctx, quiet=quiet, json=json)
    kinds = _parse_kinds(only)
    with open_session(env, api_url, profile) as session:
        from reader_cli.client.workspace import watch_workspace

        wanted = session.job_ids(job or (), reading=True)
        deadline = None if timeout is None else env.clock() + timeout
        for event in watch_workspace(session.client, deadline=deadline):
            if isinstance(event, Notice):
                env.say(f"reader: {harmless(event.message)}")
            elif (not wanted or event.job_id in wanted) and (not kinds or event.kind in kinds):
                _write(env, event)
    return 0


def _write(env: Env, event: WorkspaceEvent) -> None:
    write_object(env, {"event": event.name, **{key: value for key, value in event.data.items() if key != "event"}})


def _parse_kinds(only: str | None) -> set[str]:
    from reader_cli.client.workspace import KINDS

    kinds = {word.strip() for word in only.split(",")} if only is not None else set()
    for word in kinds - set(KINDS):
        raise UsageError(f"--only {word!r} is none of {', '.join(KINDS)}")
    return kinds
