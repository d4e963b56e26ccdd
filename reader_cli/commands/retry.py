from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from reader_cli import options
from reader_cli.errors import ApiError, ExitCode, NothingToDo
from reader_cli.following import FollowOptions, Target, follow, write_final_jobs
from reader_cli.models import ErrorCode
from reader_cli.output.data import write_object
from reader_cli.output.report import quote
from reader_cli.output.text import count, harmless
from reader_cli.session import Session, open_env, open_session


def retry(
    ctx: typer.Context,
    job: options.Job,
    wait: options.Wait = False,
    via: options.Via = "auto",
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
    """Nothing to retry is exit 8. --wait follows the new run and exits as watch does."""
    following = FollowOptions(
        via=via,
        interval=interval,
        timeout=timeout,
        give_up_after=give_up_after,
        progress=progress,
        max_failures=max_failures,
        cancel_on_interrupt=cancel_on_interrupt,
    )
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        job_ids = session.job_ids([job], reading=False)
        before = {job_id: session.client.get_job(job_id).job for job_id in job_ids}
        answers = retry_failed(session, job_ids, job)
        for job_id, answer in answers.items():
            env.say(f"{harmless(job_id)} reads {count(int(answer.get('retrying') or 0), 'page')} again")
            if json and not wait:
                write_object(env, answer)
        if not wait:
            return ExitCode.OK
        retried = {job_id: before[job_id] for job_id in answers}
        tally = follow(session, Target(job_ids=job_ids, refs=[job], before=retried), following)
        if json:
            write_final_jobs(session, job_ids)
        return tally.exit_code(following.limit)


def retry_failed(session: Session, job_ids: Sequence[str], ref: str) -> dict[str, Any]:
    """The answers by job id, of those jobs that had something to retry. Raises NothingToDo when none had."""
    answers: dict[str, Any] = {}
    refusal: ApiError | None = None
    for job_id in job_ids:
        try:
            answers[job_id] = session.client.retry(job_id)
        except ApiError as error:
            if error.code != ErrorCode.INVALID_REQUEST:  # the contract's answer to a job without failures
                raise
            refusal = error
    if not answers and refusal:
        nothing = NothingToDo(f"{ref} has nothing to retry: {refusal.message}", hint=f"reader status {quote(ref)}")
        nothing.request_id = refusal.request_id
        raise nothing
    return answers
