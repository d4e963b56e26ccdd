from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.body import InputFlags
from reader_cli.errors import ExitCode
from reader_cli.following import follow_results
from reader_cli.models import Status
from reader_cli.output.writers import open_writer
from reader_cli.runs import RunPlan
from reader_cli.selection import Destination
from reader_cli.session import Session, open_env, open_session
from reader_cli.submitting import new_submission, read_items, send
from reader_cli.tally import Tally
from reader_cli.waiting import FollowOptions


def demo(ctx: typer.Context, quiet: options.Quiet = False) -> int:
    """Starts the local engine, submits a batch, shows the bar and writes the pages as JSONL to stdout. One link of the
    site is broken on purpose. Exits 0 when the path worked.
    """
    env = open_env(ctx, quiet=quiet)
    with open_session(env, None, None, local=True) as session:
        items = read_items(env, InputFlags(urls=demo_urls(session)))
        plan = RunPlan(session.server, {"cache": False}, items)  # or a second demo would have nothing to show
        target = send(session, new_submission(session, plan), json=False, silent=True)
        with open_writer(env, Destination()) as writer:
            tally = follow_results(session, target, FollowOptions(), writer)
    return exit_code(tally)


def demo_urls(session: Session) -> list[str]:
    from reader_cli.engine.site import URLS

    return [f"{session.settings.base_url}/demo/{path}" for path in URLS]


def exit_code(tally: Tally) -> ExitCode:
    """0 when every page but the broken one was read."""
    from reader_cli.engine.site import BROKEN

    completed = all(done.status == Status.COMPLETED for done in tally.done.values())
    return ExitCode.OK if completed and tally.failed == len(BROKEN) else ExitCode.PAGES_FAILED
