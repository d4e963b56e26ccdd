from __future__ import annotations

from typing import Annotated

import typer

from reader_cli import options
from reader_cli.errors import UsageError
from reader_cli.following import FollowOptions, Target, follow_results
from reader_cli.output.files import build_writer, open_output
from reader_cli.session import open_env, open_session

ONLY = ("ok", "failed")


def results(
    ctx: typer.Context,
    jobs: options.Jobs,
    output: options.Output = None,
    force: options.Force = False,
    only: Annotated[
        str | None, typer.Option(metavar="ok|failed", help="Only the pages read, or only the failed.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Pages as they finish, until the job ends.")] = False,
    via: options.Via = "auto",
    interval: options.Interval = None,
    timeout: options.Timeout = None,
    give_up_after: options.GiveUpAfter = 120.0,
    progress: options.ProgressMode = "auto",
    max_failures: options.MaxFailures = "0",
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """A line is the page object as the server sent it. Partial results of failed and cancelled jobs are read like any
    others. Exits 0 whatever became of the job; with --follow it exits as watch does.
    """
    if only not in (None, *ONLY):
        raise UsageError(f"--only {only!r} is neither ok nor failed")
    following = FollowOptions(
        via=via,
        interval=interval,
        timeout=timeout,
        give_up_after=give_up_after,
        progress=progress,
        max_failures=max_failures,
    )
    env = open_env(ctx, quiet=quiet)
    with open_session(env, api_url, profile) as session, open_output(env, output, force=force) as out:
        job_ids = session.job_ids(jobs, reading=True)
        write = build_writer(out, only, flush=follow)
        if follow:
            target = Target(job_ids=job_ids, refs=jobs)
            return follow_results(session, target, following, write).exit_code(following.limit)
        from reader_cli.client.pages import iter_pages

        for job_id in job_ids:
            for line in iter_pages(session.client, job_id):
                write(line)
        return 0
