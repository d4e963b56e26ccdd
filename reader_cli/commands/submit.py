from __future__ import annotations

from typing import Annotated

import typer

from reader_cli import options
from reader_cli.body import InputFlags, JobFlags, build_job_options, read_secret
from reader_cli.errors import ExitCode, UsageError
from reader_cli.models import Mode
from reader_cli.output.report import quote
from reader_cli.session import Session, open_env, open_session
from reader_cli.waiting import FollowOptions, Target


def submit(
    ctx: typer.Context,
    inputs: InputFlags,
    flags: JobFlags,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Call this submission NAME, for later use.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(metavar="K", help="Your own key, against doubling.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Send what is missing of an earlier run.")] = None,
    max_credits: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Send nothing that may cost more than this.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the request bodies and send nothing.")] = False,
    wait: options.Wait = False,
    results: Annotated[
        bool, typer.Option("--results", help="With --wait: the pages to stdout as JSONL, as they finish.")
    ] = False,
    following: FollowOptions,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """More than 1,000 URLs become several jobs of one run. --wait follows them to the end and exits with the outcome,
    as watch does; --wait --results writes the pages to stdout as they finish.
    """
    from reader_cli.runs import RunPlan
    from reader_cli.submitting import new_submission, read_items, resume_submission, say_cost, send, write_bodies

    env = open_env(ctx, quiet=quiet, json=json)
    if results and not wait:
        raise UsageError("--results needs --wait", hint="Later: reader results @last")
    if results:
        following.check_brings_pages()
    if resume and (dry_run or (name, idempotency_key, max_credits) != (None, None, None) or _is_new(inputs, flags)):
        raise UsageError(
            "--resume sends what is missing of an earlier run, as it was: it takes no URLs and no options of a new one",
            hint=f"reader submit --resume {quote(resume)}",
        )
    with open_session(env, api_url, profile) as session:
        if resume:
            submission = resume_submission(session, resume, read_secret(flags.webhook_secret_file, env.environ))
        else:
            body = build_job_options(flags, env.environ)
            mode = Mode.CRAWL if flags.crawl else Mode.BATCH
            plan = RunPlan(session.server, body, read_items(env, inputs), mode, name, idempotency_key)
            if dry_run:
                return write_bodies(env, plan)
            say_cost(session, plan, max_credits)
            submission = new_submission(session, plan)
        target = send(session, submission, json=json and not wait, silent=wait and (json or results))
        return follow_run(session, target, following, results=results, json=json) if wait else ExitCode.OK


def _is_new(inputs: InputFlags, flags: JobFlags) -> bool:
    """Whether anything is given that a run already has; its webhook's secret it has not."""
    return inputs != InputFlags() or flags != JobFlags(webhook_secret_file=flags.webhook_secret_file)


def follow_run(session: Session, target: Target, following: FollowOptions, *, results: bool, json: bool) -> int:
    """Follows the run to its end: pages, final jobs or nothing to stdout. Returns the outcome's exit code."""
    from reader_cli.following import follow, follow_results, write_final_jobs
    from reader_cli.output.writers import open_writer
    from reader_cli.selection import Destination

    if results:
        with open_writer(session.env, Destination()) as writer:
            tally = follow_results(session, target, following, writer)
    else:
        tally = follow(session, target, following)
        if json:
            write_final_jobs(session, target.job_ids)
    return tally.exit_code(following.limit)
