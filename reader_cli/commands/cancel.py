from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.each import for_each
from reader_cli.output.data import write_object
from reader_cli.output.text import harmless
from reader_cli.session import open_env, open_session


def cancel(
    ctx: typer.Context,
    jobs: options.Jobs,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """A job that has already ended is a conflict, exit 8."""
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:

        def stop(job_id: str) -> None:
            answer = session.client.cancel(job_id)
            if json:
                write_object(env, answer)
            env.say(f"{harmless(job_id)} {harmless(answer.get('status', 'cancelled'))}")

        return for_each(env, session.job_ids(jobs, reading=False), stop)
