from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.session import open_env, open_session

KNOWN = 200  # of the jobs that were submitted from here, the newest


def top(
    ctx: typer.Context,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Jobs that were submitted from here, and all that the workspace's events tell of. Keys: arrows, enter opens a job
    and shows its failures, s sorts, c cancels, r retries, q quits. Without a terminal there are plain lines on stdout;
    `reader events` is for scripts.
    """
    env = open_env(ctx, quiet=quiet)
    live = env.stdin_tty and env.stdout_tty and env.environ.get("TERM", "dumb") != "dumb"
    with open_session(env, api_url, profile) as session:
        from reader_cli.top.board import Board

        board = Board(env.clock, env.now)
        board.add_known(session.history.jobs(session.server, limit=KNOWN))
        if live:
            from reader_cli.top.app import run_screen

            run_screen(session, board)
        else:
            from reader_cli.top.plain import run_plain

            run_plain(session, board)
    return 0
