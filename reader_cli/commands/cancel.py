from __future__ import annotations

from collections.abc import Sequence

import typer

from reader_cli import options
from reader_cli.each import for_each
from reader_cli.errors import ApiError
from reader_cli.models import ErrorCode
from reader_cli.output.data import write_object
from reader_cli.output.text import harmless
from reader_cli.session import Session, open_env, open_session


def cancel(
    ctx: typer.Context,
    jobs: options.Jobs,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """A job that has already ended is a conflict, exit 8; of a run, only where none of its jobs was left to stop."""
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        return for_each(env, jobs, lambda ref: cancel_all(session, session.job_ids([ref], reading=False), json=json))


def cancel_all(session: Session, job_ids: Sequence[str], *, json: bool) -> None:
    """Stops the jobs that one word names. Raises the worst ReaderError."""
    ended: list[ApiError] = []

    def stop(job_id: str) -> None:
        try:
            answer = session.client.cancel(job_id)
        except ApiError as error:
            if error.code != ErrorCode.CONFLICT or len(ended) + 1 == len(job_ids):
                raise
            ended.append(error)
            return
        if json:
            write_object(session.env, answer)
        session.env.say(f"{harmless(job_id)} {harmless(answer.get('status', 'cancelled'))}")

    for_each(session.env, job_ids, stop)
