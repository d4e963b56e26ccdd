from __future__ import annotations

import typer

from reader_cli import options
from reader_cli.errors import NotFoundLocally
from reader_cli.output.text import harmless
from reader_cli.profiles import DEFAULT_PROFILE, forget_key, read_config
from reader_cli.session import open_env


def logout(ctx: typer.Context, profile: options.Profile = None, quiet: options.Quiet = False) -> int:
    """Takes the key of a profile out of config.toml or the keyring; the server keeps it valid."""
    env = open_env(ctx, quiet=quiet)
    config = read_config()
    name = profile or str(config.get("profile") or DEFAULT_PROFILE)
    if name not in config.get("profiles", {}) or not forget_key(name):
        raise NotFoundLocally(f"profile {name!r} has no key", hint="reader config show")
    env.say(f"reader: forgot the key of profile {harmless(name)}")
    return 0
