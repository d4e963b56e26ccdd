from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.following import FollowOptions, Target, follow_results, write_line
from reader_cli.local import ensure_engine
from reader_cli.session import open_env, open_session


def demo(ctx: typer.Context, quiet: options.Quiet = False) -> int:
    """Run the whole path on the engine's own sample site: no account, no internet.

    Starts the local engine, submits a batch, shows the bar and writes the pages as JSONL to stdout. One link of the
    site is broken, on purpose. Exits 0 when the path worked.
    """
