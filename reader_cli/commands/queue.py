from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.output.data import write_facts
from reader_cli.session import open_env, open_session


def queue(
    ctx: typer.Context,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """And how many may be active at once."""
    env = open_env(ctx, quiet=quiet, json=json)
    with open_session(env, api_url, profile) as session:
        write_facts(env, session.client.queue(), json=json)
    return 0
