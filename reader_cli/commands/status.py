from __future__ import annotations

from collections.abc import Iterator

import typer

from reader_cli import options
from reader_cli.each import for_each
from reader_cli.models import Job
from reader_cli.output.data import without_results, write_object
from reader_cli.output.text import count, harmless
from reader_cli.session import open_env, open_session


def status(
    ctx: typer.Context,
    jobs: options.Jobs,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Exits 0 whatever became of the job; `reader watch` exits with its outcome."""
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:

        def show(job_id: str) -> None:
            job = session.client.get_job(job_id).job
            session.remember(job)
            if json:
                write_object(env, without_results(job))
            else:
                env.stdout.writelines(f"{line}\n".encode() for line in build_block(job))

        return for_each(env, session.job_ids(jobs, reading=True), show)


def build_block(job: Job) -> Iterator[str]:
    """The short human form: one line of counts, then when, then why it broke."""
    failed = f", {job['failed']:,} failed" if job.get("failed") else ""
    counts = f"{job.get('completed', 0):,}/{job.get('total', 0):,} pages{failed}"
    yield f"{harmless(job['id'])}  {harmless(job['status'])}  {counts}, {count(job.get('creditsUsed') or 0, 'credit')}"
    times = [f"{word} {harmless(job[key])}" for word, key in _TIMES if job.get(key)]  # type: ignore[literal-required]
    yield f"  {harmless(job.get('mode', 'job'))}; {', '.join(times)}"
    if job.get("error"):
        yield f"  error: {harmless(job['error'])}"


_TIMES = (("created", "createdAt"), ("started", "startedAt"), ("ended", "completedAt"))
