"""A submission from the command line: planned, written down, sent, and named so that other commands find it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reader_cli.body import InputFlags
from reader_cli.config import LOCAL
from reader_cli.env import Env
from reader_cli.errors import ConfigError, UsageError
from reader_cli.events import Notice
from reader_cli.following import Interrupted
from reader_cli.history import Run
from reader_cli.inputs import Item, read_inputs
from reader_cli.models import CREDITS_A_PAGE, MAX_PAGES, JobSummary, Mode
from reader_cli.output.data import write_object
from reader_cli.output.text import count, harmless
from reader_cli.references import find_run
from reader_cli.runs import RunPlan, record_run, submit_run
from reader_cli.session import Session
from reader_cli.waiting import Target

MAX_SITEMAP_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Submission:
    """A run that the history knows, and its webhook's secret, which the history does not."""

    run: Run
    secret: str | None

    def __repr__(self) -> str:
        return f"Submission({self.run.id})"  # a secret never reaches a traceback


def read_items(env: Env, flags: InputFlags) -> list[Item]:
    """All URLs, read to the end before anything is sent; says what was left out. Raises UsageError."""
    read = read_inputs(
        flags.urls or (),
        flags.file or (),
        stdin=env.stdin,
        input_format=flags.input_format,
        url_column=flags.url_column,
        sitemaps=flags.sitemap or (),
        skip_invalid=flags.skip_invalid,
        keep_duplicates=flags.keep_duplicates,
        fetch=fetch_sitemap,
    )
    if read.duplicates:
        env.say(f"reader: left out {count(read.duplicates, 'duplicate')} (--keep-duplicates keeps them)")
    if read.skipped:
        env.say(f"reader: left out {count(len(read.skipped), 'bad line')}")
    if not read.items:
        raise UsageError("there is no URL to submit", hint="reader submit URL..., or -f FILE, or - for standard input")
    return read.items


def new_submission(session: Session, plan: RunPlan) -> Submission:
    """Writes the plan to the history; nothing is sent yet. Raises UsageError."""
    return Submission(record_run(session.history, plan, now=session.env.now()), plan.secret)


def resume_submission(session: Session, ref: str, secret: str | None) -> Submission:
    return Submission(find_run(ref, session.history, session.server), secret)


def send(session: Session, submission: Submission, *, json: bool, silent: bool) -> Target:
    """Posts what is missing and writes the job ids to stdout as they come, or with `json` the job summaries.

    Raises what `runs.submit_run` raises, and Interrupted, or UsageError where stdout takes no more, with the command
    that goes on with the rest.
    """
    env, run = session.env, submission.run
    way_back, missing = f"reader submit --resume {run.id}", sum(part.urls for part in run.missing)
    job_ids: list[str] = []
    try:
        for job in _jobs(session, submission):
            job_ids.append(job["id"])
            if not silent:
                _write_job(env, job, json)
    except (KeyboardInterrupt, SystemExit) as leaving:
        raise Interrupted.by(leaving, f"interrupted; {count(len(job_ids), 'job')} submitted", way_back) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        submitted = f"{count(len(job_ids), 'job')} submitted"
        raise UsageError(f"{error.filename}: {error.strerror}; {submitted}", hint=way_back) from None
    told = f"submitted {count(missing, 'URL')} as" if missing else "nothing is missing of"
    env.say(f"reader: {told} {_named(run, job_ids)}")
    return Target(job_ids=job_ids, refs=[run.name] if run.name else job_ids if len(job_ids) == 1 else [run.id])


def most_credits(plan: RunPlan) -> int:
    """What the submission costs at most: cache hits and failed pages are free (contract: limits)."""
    options = plan.options
    pages = int(options.get("maxPages", MAX_PAGES[2])) if plan.mode == Mode.CRAWL else len(plan.items)
    return pages * CREDITS_A_PAGE.get(str(options.get("proxyMode", "standard")), max(CREDITS_A_PAGE.values()))


def write_bodies(env: Env, plan: RunPlan) -> int:
    """What would be sent, one body a line, a webhook's secret aside."""
    for body in plan.bodies():
        write_object(env, _redacted(body))
    return 0


def say_cost(session: Session, plan: RunPlan, limit: int | None) -> None:
    """Says what the submission may cost where credits cost money. Raises ConfigError, exit 6 as for too few credits,
    when that is more than `limit`."""
    cost = count(most_credits(plan), "credit")
    if limit is not None and most_credits(plan) > limit:
        raise ConfigError(
            f"this submission may cost {cost}, more than --max-credits {limit:,}; nothing was sent",
            hint="Raise --max-credits, or send fewer URLs.",
        )
    if session.server != LOCAL:
        session.env.say(f"reader: this may cost up to {cost}")


def fetch_sitemap(url: str) -> Iterator[bytes]:
    """The body of a remote sitemap in pieces. Raises UsageError where it can't be had."""
    import httpx

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=30) as response:
            if response.status_code >= 400:
                raise UsageError(f"the sitemap {url} answered HTTP {response.status_code}")
            yield from response.iter_bytes(MAX_SITEMAP_CHUNK)
    except httpx.HTTPError as error:
        raise UsageError(f"the sitemap {url} cannot be fetched: {error}") from None


def _jobs(session: Session, submission: Submission) -> Iterator[JobSummary]:
    env = session.env

    def notify(notice: Notice) -> None:
        env.say(f"reader: {harmless(notice.message)}")

    return submit_run(
        session.client,
        session.history,
        submission.run,
        secret=submission.secret,
        notify=notify,
        now=env.now,
        sleep=env.sleep,
    )


def _write_job(env: Env, job: JobSummary, json: bool) -> None:
    if json:
        write_object(env, job)
    else:
        env.stdout.write(harmless(job["id"]).encode() + b"\n")
        env.stdout.flush()


def _named(run: Run, job_ids: list[str]) -> str:
    if run.name:
        return f"{run.name} ({count(len(job_ids), 'job')})"
    return harmless(job_ids[0]) if len(job_ids) == 1 else f"run {run.id} ({count(len(job_ids), 'job')})"


def _redacted(body: dict[str, Any]) -> dict[str, Any]:
    webhook = body.get("webhook")
    if not isinstance(webhook, dict) or "secret" not in webhook:
        return body
    return {**body, "webhook": {**webhook, "secret": "…"}}
