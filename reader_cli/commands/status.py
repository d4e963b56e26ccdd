from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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
    """Exits 0 whatever became of the job; `reader watch` exits with its outcome. Several jobs end with a line of their
    sums."""
    env = open_env(ctx, quiet=quiet, json=json)
    seen: list[Counts] = []
    with open_session(env, api_url, profile) as session:

        def show(job_id: str) -> None:
            job = session.client.get_job(job_id).job
            session.remember(job)
            if json:
                write_object(env, without_results(job))
                return
            seen.append(read_counts(job))
            env.stdout.writelines(f"{line}\n".encode() for line in build_block(job))

        code = for_each(env, session.job_ids(jobs, reading=True), show)
    if len(seen) > 1:
        total = Counts(*map(sum, zip(*seen, strict=True)))
        env.stdout.write(f"{count(len(seen), 'job')}  {total}\n".encode())
    return code


class Counts(NamedTuple):
    completed: int
    total: int
    failed: int
    credits_used: int

    def __str__(self) -> str:
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.completed:,}/{self.total:,} pages{failed}, {count(self.credits_used, 'credit')}"


def read_counts(job: Job) -> Counts:
    return Counts(*(int(job.get(name) or 0) for name in ("completed", "total", "failed", "creditsUsed")))  # type: ignore[call-overload]


def build_block(job: Job) -> Iterator[str]:
    """The short human form: one line of counts, then when, then why it broke."""
    yield f"{harmless(job['id'])}  {harmless(job['status'])}  {read_counts(job)}"
    times = [f"{word} {harmless(job[key])}" for word, key in _TIMES if job.get(key)]  # type: ignore[literal-required]
    yield f"  {harmless(job.get('mode', 'job'))}; {', '.join(times)}"
    if job.get("error"):
        yield f"  error: {harmless(job['error'])}"


_TIMES = (("created", "createdAt"), ("started", "startedAt"), ("ended", "completedAt"))
