from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import typer

from reader_cli import options
from reader_cli.cli import new_app
from reader_cli.errors import NotFoundLocally, Unreachable
from reader_cli.local import Engine, find_engine, log_file, stop_engine
from reader_cli.output.data import write_facts
from reader_cli.session import open_env

app = new_app()


@app.command()
def status(ctx: typer.Context, json: options.Json = False) -> int:
    """Show the background engine; exit 7 when none is running."""
    env = open_env(ctx, json=json)
    write_facts(env, build_facts(_running()), json=json)
    return 0


@app.command()
def stop(ctx: typer.Context, quiet: options.Quiet = False) -> int:
    """End the background engine.

    Its unfinished jobs go on when it is started again, as the next command does.
    """
    env = open_env(ctx, quiet=quiet)
    engine = _running()
    if not stop_engine(env, engine):
        raise Unreachable(f"the engine (process {engine.pid}) does not end", hint=f"kill -9 {engine.pid}")
    env.say(f"reader: the local engine (process {engine.pid}) has ended")
    return 0


@app.command()
def logs(ctx: typer.Context) -> int:
    """Write the background engine's log to stdout."""
    env = open_env(ctx)
    try:
        with log_file().open("rb") as log:
            shutil.copyfileobj(log, env.stdout)
    except FileNotFoundError:
        raise NotFoundLocally("the local engine has not written a log yet") from None
    return 0


def build_facts(engine: Engine) -> dict[str, Any]:
    """`pid`, `url`, `version`, `startedAt`, `dataDir`, `activeJobs`, `diskBytes` (cli: serve and local)."""
    return {
        "pid": engine.pid,
        "url": engine.url,
        "version": engine.version,
        "startedAt": engine.started_at,
        "dataDir": engine.data_dir,
        "activeJobs": _active_jobs(engine),
        "diskBytes": sum(file.stat().st_size for file in Path(engine.data_dir).rglob("*") if file.is_file()),
    }


def _active_jobs(engine: Engine) -> int:
    from reader_cli.client.api import Client

    with Client(engine.url, engine.key) as client:
        return int(client.queue()["activeJobs"])


def _running() -> Engine:
    engine = find_engine()
    if engine is None:
        raise NotFoundLocally("the local engine is not running", hint="Any command that needs it starts it.")
    return engine
