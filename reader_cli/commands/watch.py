from __future__ import annotations

from typing import Annotated

import typer

from reader_cli import options
from reader_cli.errors import UsageError
from reader_cli.following import FollowOptions, HookOptions, Target, follow
from reader_cli.session import open_env, open_session


def watch(
    ctx: typer.Context,
    jobs: options.Jobs,
    via: Annotated[str, typer.Option(metavar="auto|sse|poll|webhook", help="How to follow the job.")] = "auto",
    port: Annotated[int, typer.Option(min=0, max=65535, help="By webhook: the port to listen on.")] = 0,
    public_url: options.PublicUrl = None,
    interval: options.Interval = None,
    timeout: options.Timeout = None,
    give_up_after: options.GiveUpAfter = 120.0,
    progress: options.ProgressMode = "auto",
    max_failures: options.MaxFailures = "0",
    cancel_on_interrupt: options.CancelOnInterrupt = False,
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
    by_webhook = via == "webhook"
    if not by_webhook and (public_url or port):
        raise UsageError("--public-url and --port need --via webhook")
    following = FollowOptions(
        via="auto" if by_webhook else via,
        hook=HookOptions(port, public_url) if by_webhook else None,
        interval=interval,
        timeout=timeout,
        give_up_after=give_up_after,
        progress=progress,
        max_failures=max_failures,
        cancel_on_interrupt=cancel_on_interrupt,
    )
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        target = Target(job_ids=session.job_ids(jobs, reading=True), refs=jobs)
        return follow(session, target, following, json=json).exit_code(following.limit)
