from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from reader_cli import options
from reader_cli.body import read_secret
from reader_cli.cli import new_app
from reader_cli.each import for_each
from reader_cli.env import Env
from reader_cli.errors import ApiError, ConfigError, UsageError
from reader_cli.models import WEBHOOK_EVENTS, WEBHOOK_NAME, ErrorCode, WebhookEvent
from reader_cli.output.data import write_facts, write_object
from reader_cli.output.tables import write_table
from reader_cli.session import Session, open_env, open_session
from reader_cli.urls import split_url
from reader_cli.webhooks.secret import generate_secret

app = new_app()

ENDS = (str(WebhookEvent.COMPLETED), str(WebhookEvent.FAILED))

Events = Annotated[
    list[str] | None, typer.Option("--event", metavar="EVENT", help=f"One of {', '.join(WEBHOOK_EVENTS)}; repeatable.")
]
Headers = Annotated[
    list[str] | None, typer.Option("--header", metavar="'NAME: VALUE'", help="Sent with each delivery; repeatable.")
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="What you call it, up to 100 characters.")]
SecretFile = Annotated[Path | None, typer.Option(metavar="FILE", help="The secret; or READER_WEBHOOK_SECRET.")]
Generate = Annotated[bool, typer.Option("--generate-secret", help="Make a secret, and show it this once.")]
Webhook = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id: reader webhooks list.")]


@app.command()
def create(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where deliveries are sent to.")],
    name: Name = None,
    event: Events = None,
    header: Headers = None,
    generate: Generate = False,
    secret_file: SecretFile = None,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
) -> int:
    """Register a webhook.

    For job.completed and job.failed, if no --event says otherwise. Deliveries are signed if it has a secret:
    --generate-secret makes one, or it comes from --secret-file or READER_WEBHOOK_SECRET.
    """
    env = open_env(ctx, json=json)
    own = generate_secret() if generate else read_secret(secret_file, env.environ)
    body = {
        "url": url,
        "name": name or (split_url(url).hostname or url)[: WEBHOOK_NAME[1]],
        "events": check_events(event) or list(ENDS),
        **_without_none(headers=_parse_headers(header), secret=own),
    }
    with open_session(env, api_url, profile) as session:
        webhook = session.client.create_webhook(body)
        made_there = None if own else webhook.get("secret")
        _show(env, webhook, own if generate else made_there, json=json)
    return 0


@app.command(name="list")
def list_(
    ctx: typer.Context,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
) -> int:
    """Show the webhooks and how their deliveries went."""
    env = open_env(ctx, json=json)
    with open_session(env, api_url, profile) as session:
        webhooks = list(_all(session))
        if json:
            for webhook in webhooks:
                write_object(env, webhook)
            return 0
        write_table(env, _TITLES, [_row(webhook) for webhook in webhooks])
        if not webhooks:
            env.say("reader: there is no webhook yet: reader webhooks create URL")
    return 0


@app.command()
def update(
    ctx: typer.Context,
    webhook: Webhook,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Where deliveries are sent to.")] = None,
    name: Name = None,
    event: Events = None,
    header: Headers = None,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="No headers of its own any more.")] = False,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Switch it on or off.")] = None,
    generate: Generate = False,
    secret_file: Annotated[Path | None, typer.Option(metavar="FILE", help="A new secret.")] = None,
    secret_from_env: Annotated[
        bool, typer.Option("--secret-from-env", help="A new secret: READER_WEBHOOK_SECRET.")
    ] = False,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
) -> int:
    """Change a webhook, or switch it off and on.

    --event and --header replace all that there were.
    """
    env = open_env(ctx, json=json)
    asked = secret_file is not None or secret_from_env
    own = generate_secret() if generate else read_secret(secret_file, env.environ) if asked else None
    if secret_from_env and own is None:
        raise ConfigError("READER_WEBHOOK_SECRET is not set")
    headers = {} if no_headers else _parse_headers(header)
    changes = _without_none(url=url, name=name, events=check_events(event), headers=headers, active=active, secret=own)
    if not changes:
        raise UsageError("there is nothing to change", hint="reader webhooks update --help")
    with open_session(env, api_url, profile) as session, _named(webhook):
        _show(env, session.client.update_webhook(webhook, changes), own if generate else None, json=json)
    return 0


@app.command()
def delete(
    ctx: typer.Context,
    webhooks: Annotated[list[str], typer.Argument(metavar="WEBHOOK...", help="Ids: reader webhooks list.")],
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
) -> int:
    """Remove webhooks.

    What they are still owed is not delivered any more.
    """
    env = open_env(ctx, json=json)
    with open_session(env, api_url, profile) as session:

        def remove(webhook: str) -> None:
            with _named(webhook):
                answer = session.client.delete_webhook(webhook)
            if json:
                write_object(env, answer)

        return for_each(env, webhooks, remove)


def check_events(events: Sequence[str] | None) -> list[str] | None:
    """None for none. Raises UsageError for an event that the contract does not know."""
    for event in events or ():
        if event not in WEBHOOK_EVENTS:
            raise UsageError(f"--event {event!r} is none of {', '.join(WEBHOOK_EVENTS)}")
    return list(dict.fromkeys(events)) if events else None


def _parse_headers(headers: Sequence[str] | None) -> dict[str, str] | None:
    if not headers:
        return None
    parsed = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError("a --header is not 'NAME: VALUE'")  # which one is not told: it may hold a token
        parsed[name.strip()] = value.strip()
    return parsed


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _all(session: Session) -> Iterator[dict[str, Any]]:
    more, skip = True, 0
    while more:
        webhooks, pagination = session.client.list_webhooks(skip)
        yield from webhooks
        skip += len(webhooks)
        more = bool(webhooks) and bool(pagination.get("hasMore"))


@contextmanager
def _named(webhook: str) -> Iterator[None]:
    """A 404 is about this webhook: its next step is another one than a job's."""
    try:
        yield
    except ApiError as error:
        if error.code == ErrorCode.NOT_FOUND:
            error.message, error.hint = f"there is no webhook {webhook!a}", "reader webhooks list"
        raise


def _show(env: Env, webhook: Mapping[str, Any], secret: str | None, *, json: bool) -> None:
    """A secret that the user gave is not shown back."""
    shown = {key: value for key, value in webhook.items() if key != "secret"}
    if json:
        write_object(env, shown | ({"secret": secret} if secret else {}))
        return
    facts = {key: shown.get(key, "") for key in ("id", "url", "name", "active")}
    facts["events"] = ", ".join(map(str, shown.get("events") or ()))
    write_facts(env, facts | ({"secret": secret} if secret else {}), json=False)
    if secret:
        env.say("reader: keep the secret, it is not shown again")


_TITLES = ("WEBHOOK", "NAME", "ACTIVE", "TRIES", "FAILED", "LAST", "EVENTS", "URL")


def _row(webhook: Mapping[str, Any]) -> tuple[object, ...]:
    stats = webhook.get("deliveryStats") or {}
    last = stats.get("lastDeliveryStatus") or ("no answer" if stats.get("lastDeliveryAt") else "")
    return (
        webhook.get("id"),
        webhook.get("name"),
        "yes" if webhook.get("active") else "no",
        stats.get("totalAttempts", ""),
        stats.get("failedDeliveries", ""),
        last,
        " ".join(map(str, webhook.get("events") or ())),
        webhook.get("url"),
    )
