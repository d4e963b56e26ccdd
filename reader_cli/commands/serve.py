from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.durations import parse_duration
from reader_cli.env import engine_dir
from reader_cli.errors import ConfigError
from reader_cli.local import NOT_INSTALLED, is_installed
from reader_cli.models import Tier
from reader_cli.session import open_env


def serve(
    ctx: typer.Context,
    host: options.Host = "127.0.0.1",
    port: options.ListenPort = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where jobs and pages are kept [default: as the background engine]."),
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Read private addresses, although others reach this engine.")
    ] = False,
    tier: Annotated[
        Tier | None, typer.Option(metavar="free|pro|business|enterprise", help="Enforce this tier's limits.")
    ] = None,
    rpm: Annotated[int | None, typer.Option(min=1, metavar="N", help="Requests a minute; more get 429.")] = None,
    max_active_jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Jobs queued or processing; more get 429.")
    ] = None,
    credits: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Credits a month; without enough, 402.")
    ] = None,
    retention: Annotated[int, typer.Option(min=1, metavar="DAYS", help="How long ended jobs are kept.")] = 30,
    max_disk: Annotated[int, typer.Option(min=1, metavar="GB", help="Above it, the oldest ended jobs go early.")] = 10,
    cache_ttl: Annotated[
        float,
        typer.Option(
            parser=parse_duration,
            metavar="DURATION",
            show_default=False,
            help="How long a page that was read is fresh [default: 1h].",
        ),
    ] = 3600,
) -> int:
    """Its key is READER_API_KEY if that is set, otherwise it makes one and shows it once. Ctrl-C ends it; unfinished
    jobs go on when it is started again. One data folder has one engine at a time: a second one exits 8. Without
    limits of its own it has none; with them, scripts can be tried against 402 and 429.
    """
    open_env(ctx)
    if not is_installed():
        raise ConfigError("the local engine is not installed", hint=NOT_INSTALLED[1].split("\n")[0])
    command = [sys.executable, "-P", "-m", "reader_cli.engine", "--host", host, "--port", str(port)]
    command += ["--data-dir", str(data_dir or engine_dir()), *(["--allow-private"] if allow_private else [])]
    limits = {"--tier": tier, "--rpm": rpm, "--max-active-jobs": max_active_jobs, "--credits": credits}
    command += [f"{option}={value}" for option, value in limits.items() if value is not None]
    command += ["--retention", str(retention), "--max-disk", str(max_disk), "--cache-ttl", str(cache_ttl)]
    # The engine takes this process's place: its signals, its exit code, no process in between.
    os.execv(sys.executable, command)
