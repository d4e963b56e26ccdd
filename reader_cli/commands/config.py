from __future__ import annotations

from typing import Annotated, Any

import typer

from reader_cli import options
from reader_cli.cli import new_app
from reader_cli.commands.login import read_key
from reader_cli.config import checked_url, choose_server, same_origin
from reader_cli.env import Env
from reader_cli.errors import NotFoundLocally, UsageError
from reader_cli.models import DEFAULT_BASE_URL
from reader_cli.output.data import write_facts
from reader_cli.profiles import (
    DEFAULT_PROFILE,
    config_file,
    edit_config,
    forget_key,
    profile_table,
    read_config,
    redact,
    store_key,
)
from reader_cli.session import open_env

app = new_app()

KEYS = ("api_url", "api_key", "profile")
Key = Annotated[str, typer.Argument(metavar="|".join(KEYS), help="What it is about.")]


@app.command()
def show(
    ctx: typer.Context, json: options.Json = False, api_url: options.ApiUrl = None, profile: options.Profile = None
) -> int:
    """Show which server is used, and where that was decided."""
    env = open_env(ctx, json=json)
    choice = choose_server(env, api_url, profile)
    facts: dict[str, Any] = {"server": "local", "source": "nothing is configured", "key": None}
    if choice:
        key = choice.keyed and choice.keyed.key
        source = choice.keyed.name if choice.keyed else choice.named_by
        facts = {"server": choice.base_url, "source": source, "key": redact(key) if key else None}
    config = read_config()
    facts |= {
        "file": str(config_file()),
        "profile": config.get("profile"),
        "profiles": list(config.get("profiles", {})),
    }
    write_facts(env, facts, json=json)
    return 0


@app.command()
def path(ctx: typer.Context) -> int:
    """Write the path of config.toml to stdout."""
    open_env(ctx).stdout.write(f"{config_file()}\n".encode())
    return 0


@app.command("set")
def set_(
    ctx: typer.Context,
    key: Key,
    value: Annotated[
        str | None, typer.Argument(help="Left out for api_key: a key is asked for, or read with --stdin.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the key from standard input.")] = False,
    profile: options.Profile = None,
) -> int:
    """Change one value.

    api_url and api_key are a profile's; profile is the name of the one in use."""
    env = open_env(ctx)
    name = profile or str(read_config().get("profile") or DEFAULT_PROFILE)
    if key == "api_key":
        if value is not None:
            raise UsageError("a key does not belong into a command line", hint="reader config set api_key --stdin")
        store_key(name, read_key(env, stdin=stdin, prompt="API key: "), api_url=None, keyring=False)
        return 0
    if value is None:
        raise UsageError(f"{key} needs a value", hint=f"reader config set {key} VALUE")
    _set(env, _checked(key), name, value)
    return 0


@app.command()
def unset(ctx: typer.Context, key: Key, profile: options.Profile = None) -> int:
    """Take one value away."""
    open_env(ctx)
    config = read_config()
    name = profile or str(config.get("profile") or DEFAULT_PROFILE)
    there = name in config.get("profiles", {})
    if _checked(key) == "api_key":
        found = there and forget_key(name)
    else:
        with edit_config() as document:
            table = document if key == "profile" else profile_table(document, name) if there else {}
            found = table.pop(key, None) is not None
    if not found:
        raise NotFoundLocally(f"{key} is not set", hint="reader config show")
    return 0


def _set(env: Env, key: str, name: str, value: str) -> None:
    config = read_config()
    if key == "profile" and value not in config.get("profiles", {}):
        raise UsageError(f"there is no profile {value!r}", hint=f"reader login --profile {value}")
    if key == "profile":
        with edit_config() as document:
            document["profile"] = value
        return
    url = checked_url(value)
    stored = config.get("profiles", {}).get(name, {})
    if stored and not same_origin(stored.get("api_url") or DEFAULT_BASE_URL, url) and forget_key(name):
        env.say(f"reader: the key that was stored for another server is gone: reader login --profile {name}")
    with edit_config() as document:
        profile_table(document, name)["api_url"] = url
        document.setdefault("profile", name)


def _checked(key: str) -> str:
    if key not in KEYS:
        raise UsageError(f"{key!r} is none of {', '.join(KEYS)}")
    return key
