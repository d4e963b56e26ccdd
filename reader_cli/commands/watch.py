from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.session import open_env, open_session
from reader_cli.waiting import FollowOptions, Target


def watch(
    ctx: typer.Context,
    jobs: options.Jobs,
    following: FollowOptions,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Exits 0 when all pages were read, 3 when a job failed, 4 when it was cancelled, 5 when more pages failed than
    --max-failures allows. Ctrl-C detaches; the job goes on. --json writes the events as JSON lines.

    --via webhook neither polls nor keeps a connection open: the server reports to this machine, the local engine
    directly, another one through a tunnel that leads to --port (--public-url).
    """
    from reader_cli.following import follow

    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        target = Target(job_ids=session.job_ids(jobs, reading=True), refs=session.words(jobs, reading=True))
        return follow(session, target, following, json=json).exit_code(following.limit)
