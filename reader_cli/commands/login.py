from __future__ import annotations

import getpass
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.config import checked_url
from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.models import DEFAULT_BASE_URL
from reader_cli.output.text import harmless
from reader_cli.profiles import DEFAULT_PROFILE, config_file, read_config, redact, store_key
from reader_cli.session import connection, open_env


def login(
    ctx: typer.Context,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the key from standard input.")] = False,
    keyring: Annotated[bool, typer.Option("--keyring", help="Keep it in the system's keyring, not in a file.")] = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Asks for the key without echo, tries it, and keeps it for one server in a profile (config.toml, 0600). In a
    script: reader login --stdin < key-file"""
    env = open_env(ctx, quiet=quiet)
    name = profile or str(read_config().get("profile") or DEFAULT_PROFILE)
    url = checked_url(api_url or _known_url(name) or DEFAULT_BASE_URL)
    key = read_key(env, stdin=stdin, prompt=f"API key for {url}: ")
    tier = _try_key(env, url, key)
    store_key(name, key, api_url=url, keyring=keyring)
    env.say(f"reader: {redact(key)} works{tier}; kept for {url} in {'the keyring' if keyring else config_file()}")
    env.say(f"reader: profile {harmless(name)} is used when nothing else is set")
    return 0


def read_key(env: Env, *, stdin: bool, prompt: str) -> str:
    """From standard input only where that was asked for, else from a prompt on a terminal (cli: laws 5, 6)."""
    if stdin:
        key = env.stdin.readline().decode("utf-8", "replace").strip()
    elif env.stdin_tty:
        key = getpass.getpass(prompt).strip()
    else:
        raise UsageError("there is no terminal to ask for the key", hint="reader login --stdin < FILE")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("that is not an API key: it has to be one line of printable ASCII without spaces")
    return key


def _known_url(name: str) -> str | None:
    profiles = read_config().get("profiles", {})
    return (profiles.get(name) or {}).get("api_url") if isinstance(profiles, dict) else None


def _try_key(env: Env, url: str, key: str) -> str:
    from reader_cli.client.api import Client

    with Client(url, key, **connection(env)) as client:
        tier = client.credits().get("tier")
    return f" (tier {harmless(tier)})" if tier else ""
