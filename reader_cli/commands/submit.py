from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.body import ReadFlags, build_options, read_secret
from reader_cli.errors import ExitCode, UsageError
from reader_cli.following import FollowOptions, Target, follow, follow_results, write_final_jobs
from reader_cli.models import Mode
from reader_cli.output.writers import build_line_writer
from reader_cli.runs import RunPlan
from reader_cli.session import Session, open_env, open_session
from reader_cli.submitting import (
    InputFlags,
    new_submission,
    read_items,
    resume_submission,
    say_cost,
    send,
    write_bodies,
)


def submit(
    ctx: typer.Context,
    urls: Annotated[list[str] | None, typer.Argument(metavar="[URL]...", help="URLs to read; - reads stdin.")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("-f", "--file", metavar="FILE", help="Lines, CSV, TSV, JSONL or a sitemap; - is stdin."),
    ] = None,
    sitemap: Annotated[list[str] | None, typer.Option(metavar="URL|FILE", help="The URLs of a sitemap.")] = None,
    input_format: Annotated[
        str | None, typer.Option(metavar="lines|csv|tsv|jsonl|sitemap", help="Instead of the file's suffix.")
    ] = None,
    url_column: Annotated[str, typer.Option(metavar="NAME", help="The column or key that holds the URL.")] = "url",
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave bad lines out.")] = False,
    keep_duplicates: Annotated[bool, typer.Option("--keep-duplicates", help="Read a URL as often as given.")] = False,
    crawl: Annotated[bool, typer.Option("--crawl", help="Follow the links of one URL, on its host.")] = False,
    max_depth: Annotated[int | None, typer.Option(metavar="N", help="Crawl this many links deep.")] = None,
    max_pages: Annotated[int | None, typer.Option(metavar="N", help="Crawl at most this many pages.")] = None,
    format: options.Formats = None,
    no_main_content: options.NoMainContent = False,
    include_tag: options.IncludeTag = None,
    exclude_tag: options.ExcludeTag = None,
    wait_for: options.WaitFor = None,
    page_timeout: options.PageTimeout = None,
    proxy_mode: options.ProxyMode = None,
    concurrency: Annotated[int | None, typer.Option(metavar="N", help="Pages of the batch at once, 1 to 20.")] = None,
    max_concurrency: Annotated[int | None, typer.Option(metavar="N", help="The server's maxConcurrency.")] = None,
    no_cache: options.NoCache = False,
    extract_schema: options.ExtractSchema = None,
    extract_prompt: options.ExtractPrompt = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Where the server reports to.")] = None,
    webhook_event: Annotated[list[str] | None, typer.Option(metavar="EVENT", help="Repeatable.")] = None,
    webhook_secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The webhook's secret; or READER_WEBHOOK_SECRET.")
    ] = None,
    set_: options.Set = None,
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
    """More than 1,000 URLs become several jobs of one run. --wait follows them to the end and exits with the outcome,
    as watch does; --wait --results writes the pages to stdout as they finish.
    """
    env = open_env(ctx, quiet=quiet, json=json)
    if results and not wait:
        raise UsageError("--results needs --wait", hint="Later: reader results @last")
    following = FollowOptions(
        via=via,
        interval=interval,
        timeout=timeout,
        give_up_after=give_up_after,
        progress=progress,
        max_failures=max_failures,
        cancel_on_interrupt=cancel_on_interrupt,
    )
    flags = ReadFlags(
        formats=tuple(format or ()),
        main_content=not no_main_content,
        include_tags=tuple(include_tag or ()),
        exclude_tags=tuple(exclude_tag or ()),
        wait_for=wait_for,
        page_timeout=page_timeout,
        proxy_mode=proxy_mode,
        concurrency=concurrency,
        max_concurrency=max_concurrency,
        cache=not no_cache,
        extract_schema=extract_schema,
        extract_prompt=extract_prompt,
        crawl=crawl,
        max_depth=max_depth,
        max_pages=max_pages,
        webhook=webhook,
        webhook_events=tuple(webhook_event or ()),
        webhook_secret_file=webhook_secret_file,
        sets=tuple(set_ or ()),
    )
    inputs = InputFlags(
        args=urls or (),
        files=file or (),
        sitemaps=sitemap or (),
        input_format=input_format,
        url_column=url_column,
        skip_invalid=skip_invalid,
        keep_duplicates=keep_duplicates,
    )
    with open_session(env, api_url, profile) as session:
        if resume:
            submission = resume_submission(session, resume, read_secret(webhook_secret_file, env.environ))
        else:
            body = build_options(flags, env.environ)
            mode = Mode.CRAWL if crawl else Mode.BATCH
            plan = RunPlan(session.server, body, read_items(env, inputs), mode, name, idempotency_key)
            if dry_run:
                return write_bodies(env, plan)
            say_cost(session, plan, max_credits)
            submission = new_submission(session, plan)
        target = send(session, submission, json=json and not wait, silent=wait and (json or results))
        return follow_run(session, target, following, results=results, json=json) if wait else ExitCode.OK


def follow_run(session: Session, target: Target, following: FollowOptions, *, results: bool, json: bool) -> int:
    """Follows the run to its end: pages, final jobs or nothing to stdout. Returns the outcome's exit code."""
    if results:
        tally = follow_results(session, target, following, build_line_writer(session.env.stdout))
    else:
        tally = follow(session, target, following)
        if json:
            write_final_jobs(session, target.job_ids)
    return tally.exit_code(following.limit)
