from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.errors import ExitCode, UsageError
from reader_cli.output.text import LONGEST_PATH, harmless
from reader_cli.selection import Destination, Request, Selection
from reader_cli.session import open_env, open_session
from reader_cli.waiting import FollowOptions

USUAL = FollowOptions()


def results(
    ctx: typer.Context,
    jobs: options.Jobs,
    *,
    destination: Destination,
    selection: Selection,
    follow: Annotated[bool, typer.Option("--follow", help="Pages as they finish, until the job ends.")] = False,
    following: FollowOptions,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """A line is the page object as the server sent it. Partial results of failed and cancelled jobs are read like any
    others. Exits 0 whatever became of the job; with --follow it exits as watch does.
    """
    request = Request(selection, destination, following if follow else None)
    if not follow:
        _refuse_waiting(following)
    env = open_env(ctx, quiet=quiet)
    if destination.finished:
        env.say(f"reader: {harmless(destination.output, LONGEST_PATH)} is whole: nothing to do (--force replaces it)")
        return ExitCode.OK
    patience = None if following.give_up_after == USUAL.give_up_after else following.give_up_after
    with open_session(env, api_url, profile) as session:
        from reader_cli.delivering import deliver

        return deliver(session, request, jobs, patience=patience)


def _refuse_waiting(following: FollowOptions) -> None:
    """Reading what is there has a use for --give-up-after alone, and --progress has nothing to show."""
    if following != replace(USUAL, give_up_after=following.give_up_after, progress=following.progress):
        raise UsageError("--via, --interval, --timeout, --max-failures and --cancel-on-interrupt need --follow")
