from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer

from reader_cli import options
from reader_cli.body import read_secret
from reader_cli.commands.webhooks.manage import Events, SecretFile, check_events
from reader_cli.durations import parse_duration
from reader_cli.env import Env
from reader_cli.errors import ConfigError, NotFoundLocally, NotGenuine, Unreachable, UsageError
from reader_cli.models import WEBHOOK_EVENTS
from reader_cli.output.data import write_object
from reader_cli.output.report import quote
from reader_cli.session import open_env, open_session
from reader_cli.webhooks.signing import TOLERANCE_SECONDS, Verdict
from reader_cli.webhooks.signing import verify as check_signature

ForwardTo = Annotated[
    str | None, typer.Option("--forward-to", metavar="URL", help="POST each to your app, until it answers 2xx.")
]
Exec = Annotated[
    str | None, typer.Option("--exec", metavar="COMMAND", help="Run this for each, payload on stdin, until it exits 0.")
]


def listen(
    ctx: typer.Context,
    forward_to: ForwardTo = None,
    exec_: Exec = None,
    event: Events = None,
    host: options.Host = "127.0.0.1",
    port: options.ListenPort = 0,
    public_url: options.PublicUrl = None,
    no_register: Annotated[
        bool, typer.Option("--no-register", help="Only listen: the webhook is registered already.")
    ] = False,
    from_events: Annotated[
        bool, typer.Option("--from-events", help="Out of the event stream, where the server can't reach this machine.")
    ] = False,
    print_secret: Annotated[
        bool, typer.Option("--print-secret", help="Print the secret that deliveries are signed with, and exit.")
    ] = False,
    secret_file: SecretFile = None,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Receive deliveries on this machine.

    Each is checked, and one line of JSON on stdout. For as long as it runs, a webhook of its own is registered. What
    --forward-to or --exec has not taken is kept on disk and tried again, in the next listen if need be. The secret is
    READER_WEBHOOK_SECRET, or the one in --secret-file, or this machine's own (--print-secret), which stays the same.
    """
    from reader_cli.webhooks.listening import ListenOptions, listen, listen_to_events
    from reader_cli.webhooks.targets import build_targets

    env = open_env(ctx, quiet=quiet, json=json)
    secret = _secret(env, secret_file)
    if print_secret:
        env.stdout.write(secret.encode() + b"\n")
        return 0
    if sum((no_register, from_events, public_url is not None)) > 1:
        raise UsageError("--no-register, --from-events and --public-url exclude each other")
    with ExitStack() as stack:
        client = None if no_register else stack.enter_context(open_session(env, api_url, profile)).client
        chosen = ListenOptions(
            host=host,
            port=port,
            secret=secret,
            targets=build_targets(env.environ, forward_to, exec_),
            events=check_events(event) or WEBHOOK_EVENTS,
            client=client,
            public_url=public_url,
        )
        if client and from_events:
            return listen_to_events(env, chosen, client)
        return listen(env, chosen)


def resend(
    ctx: typer.Context,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, as listen shows it.")],
    forward_to: ForwardTo = None,
    exec_: Exec = None,
    secret_file: SecretFile = None,
    json: options.Json = False,
) -> int:
    """Pass a delivery on to its target once more.

    One of the last seven days; --forward-to or --exec name another target. It keeps its id; an old signature is renewed
    where the secret is the one that it was signed with.
    """
    from reader_cli.webhooks.forwarding import renewed
    from reader_cli.webhooks.spool import Spool, webhooks_dir
    from reader_cli.webhooks.targets import NotThere, build_targets, find_target

    env = open_env(ctx, json=json)
    with closing(Spool(webhooks_dir())) as spool:
        kept = {found.target: found for found in spool.find(delivery)}
        if not kept:
            raise NotFoundLocally(f"no delivery {delivery!a} was received here in the last seven days")
        names = [name for name in kept if name]
        targets = build_targets(env.environ, forward_to, exec_) or [find_target(name, env.environ) for name in names]
        if not targets:
            raise UsageError("it was only shown", hint=f"reader webhooks resend {quote(delivery)} --forward-to URL")
        fresh = renewed(next(iter(kept.values())).delivery, _secret(env, secret_file), env.now())
        for target in targets:
            try:
                trouble = target.deliver(fresh)
            except NotThere as error:
                trouble = f"it is not there ({error})"
            if trouble:
                raise Unreachable(f"{target.name} did not take {delivery}: {trouble}")
            if target.name in kept:
                spool.done(kept[target.name])
            write_object(env, {"delivery": delivery, "target": target.name, "taken": True})
    return 0


def verify(
    ctx: typer.Context,
    body: Annotated[str, typer.Argument(metavar="FILE", help="The raw body as it came; - reads stdin.")],
    timestamp: Annotated[str, typer.Option(metavar="T", help="The value of X-Reader-Timestamp.")],
    signature: Annotated[str, typer.Option(metavar="S", help="The value of X-Reader-Signature.")],
    secret_file: SecretFile = None,
    max_age: Annotated[
        float,
        typer.Option(
            parser=parse_duration,
            metavar="DURATION",
            show_default=False,
            help="Older is stale, and as much ahead [default: 5m].",
        ),
    ] = TOLERANCE_SECONDS,
    json: options.Json = False,
) -> int:
    """Say whether a delivery is valid, stale or forged.

    The body has to be the very bytes that came. Exits 0 for a valid one, otherwise 6.
    """
    env = open_env(ctx, json=json)
    secret = read_secret(secret_file, env.environ)
    if secret is None:
        raise ConfigError("there is no secret to verify with", hint="--secret-file FILE, or READER_WEBHOOK_SECRET")
    raw = env.stdin.read() if body == "-" else Path(body).read_bytes()
    verdict = check_signature(raw, timestamp, signature, secret=secret, now=env.now(), tolerance=max_age)
    if json:
        write_object(env, {"verdict": verdict})
    else:
        env.stdout.write(f"{verdict}\n".encode())
    if not verdict:
        raise _not_genuine(verdict)
    return 0


def _secret(env: Env, file: Path | None) -> str:
    from reader_cli.webhooks.secret import own_secret
    from reader_cli.webhooks.spool import webhooks_dir

    return read_secret(file, env.environ) or own_secret(webhooks_dir())


def _not_genuine(verdict: Verdict) -> NotGenuine:
    told = {
        Verdict.STALE: "the delivery is genuine, but its timestamp is too far off: it may be a repetition by somebody",
        Verdict.FORGED: "the signature does not fit this body, timestamp and secret",
    }
    error = NotGenuine(told[verdict])
    error.code = str(verdict)
    return error
