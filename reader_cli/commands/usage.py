from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.models import UsageEntry
from reader_cli.output.data import write_object
from reader_cli.output.tables import Columns, build_csv_line
from reader_cli.output.text import count
from reader_cli.session import open_env, open_session

FORMATS = ("jsonl", "csv")
FIELDS = tuple(UsageEntry.__annotations__)
Write = Callable[[UsageEntry], object]


def usage(
    ctx: typer.Context,
    since: options.Since = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most this many entries.")] = None,
    format: Annotated[
        str | None, typer.Option(metavar="jsonl|csv", help="Also on a terminal, where a table is the default.")
    ] = None,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """An entry a page, newest first, for the whole workspace: when, what it cost, how long it took (milliseconds),
    and whether it came from the cache.
    """
    env = open_env(ctx, quiet=quiet, json=json)
    write = _choose_writer(env, format, json)
    with open_session(env, api_url, profile) as session:
        from reader_cli.client.usage import iter_usage

        pages, credits = 0, 0
        for entry in islice(iter_usage(session.client, since=since and since.unix(env.now())), limit):
            write(entry)
            spent = entry.get("credits")
            pages, credits = pages + 1, credits + (spent if isinstance(spent, int) else 0)
    env.say(f"reader: {count(pages, 'page')}, {count(credits, 'credit')}")
    return 0


def _choose_writer(env: Env, format: str | None, json: bool) -> Write:
    if format not in (None, *FORMATS):
        raise UsageError(f"--format {format!r} is none of {', '.join(FORMATS)}")
    if format == "csv":
        if json:
            raise UsageError("--json and --format csv exclude each other")
        return _csv_writer(env)
    return _table_writer(env) if env.stdout_tty and not (format or json) else lambda entry: write_object(env, entry)


def _csv_writer(env: Env) -> Write:
    env.stdout.write(build_csv_line(FIELDS))
    return lambda entry: env.stdout.write(build_csv_line(map(entry.get, FIELDS)))


def _table_writer(env: Env) -> Write:
    table = Columns(env, ("WHEN", "STATUS", "CREDITS", "MS", "CACHED", "URL"), (19, 7, 7, 6, 6))

    def write(entry: UsageEntry) -> None:
        url, error = entry.get("url", ""), entry.get("error")
        told = f"{url}  {error}" if error else url
        when = str(entry.get("createdAt", ""))[:19]  # to the second
        figures = [entry.get(name, "") for name in ("status", "credits", "duration")]
        table.write((when, *figures, "yes" if entry.get("cached") else "", told))

    return write
