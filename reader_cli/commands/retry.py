from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from reader_cli import options
from reader_cli.errors import ApiError, ExitCode, NothingToDo, ReaderError
from reader_cli.models import ErrorCode, Job
from reader_cli.output.data import write_object
from reader_cli.output.report import quote
from reader_cli.output.text import count, harmless
from reader_cli.session import Session, open_env, open_session
from reader_cli.waiting import FollowOptions, Target


def retry(
    ctx: typer.Context,
    job: options.Job,
    *,
    wait: options.Wait = False,
    following: FollowOptions,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Of a run, all of its jobs. Nothing to retry is exit 8. --wait follows the new run and exits as watch does."""
    from reader_cli.following import follow, write_final_jobs

    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        job_ids = session.job_ids([job], reading=False)
        before = {job_id: session.client.get_job(job_id).job for job_id in job_ids}
        retried = retry_failed(session, before, job, json=json and not wait)
        if not wait:
            return ExitCode.OK
        old = {job_id: before[job_id] for job_id in retried}
        refs = session.words([job], reading=False)
        tally = follow(session, Target(job_ids=job_ids, refs=refs, before=old), following)
        if json:
            write_final_jobs(session, job_ids)
        return tally.exit_code(following.limit)


def retry_failed(session: Session, jobs: Mapping[str, Job], ref: str, *, json: bool) -> list[str]:
    """Retries each of `jobs`, as they stand now, and tells it; returns the ids of those that had something to retry.
    Raises NothingToDo, or the server's conflict, when none had."""
    env, retried = session.env, []
    refusals: list[ApiError] = []
    for job_id, job in jobs.items():
        try:
            answer = session.client.retry(job_id, job)
        except ApiError as error:
            if error.code not in (ErrorCode.INVALID_REQUEST, ErrorCode.CONFLICT):  # no failures; still at work
                raise
            refusals.append(error)
            continue
        retried.append(job_id)
        env.say(f"{harmless(job_id)} reads {count(int(answer.get('retrying') or 0), 'page')} again")
        if json:
            write_object(env, answer)
    if not retried:
        raise _nothing_to_do(refusals, ref)
    return retried


def _nothing_to_do(refusals: Sequence[ApiError], ref: str) -> ReaderError:
    for refusal in refusals:
        if refusal.code == ErrorCode.CONFLICT:
            return refusal
    nothing = NothingToDo(f"{ref} has nothing to retry: {refusals[0].message}", hint=f"reader status {quote(ref)}")
    nothing.request_id = refusals[0].request_id
    return nothing
