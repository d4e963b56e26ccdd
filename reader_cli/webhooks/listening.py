"""`reader webhooks listen`: takes deliveries in, or makes them out of the event stream, and passes them on."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reader_cli.env import Env
from reader_cli.events import Notice
from reader_cli.output.data import write_object
from reader_cli.output.text import count, harmless
from reader_cli.webhooks.forwarding import Forwarder
from reader_cli.webhooks.intake import Intake
from reader_cli.webhooks.receiver import Receiver
from reader_cli.webhooks.registration import NAMES, reachable_url, registered
from reader_cli.webhooks.spool import Spool, webhooks_dir
from reader_cli.webhooks.targets import Target

if TYPE_CHECKING:
    from reader_cli.client.api import Client

Failures = queue.SimpleQueue[Exception]  # of threads that nobody would see die


@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """`targets` get what is genuine. Without `client` nothing is registered."""

    host: str
    port: int
    secret: str
    targets: Sequence[Target]
    events: Sequence[str]
    client: Client | None
    public_url: str | None

    def __repr__(self) -> str:
        return f"ListenOptions({self.host}:{self.port})"  # a secret never reaches a traceback


def listen(env: Env, options: ListenOptions) -> int:
    """Until it is interrupted. Raises what writing to stdout or to disk raises, and what registering does."""
    failures: Failures = queue.SimpleQueue()
    with (
        _opened(env, options, failures) as intake,
        Receiver(options.host, options.port, intake.take) as receiver,
        _registered(options, receiver) as where,
    ):
        env.say(f"reader: listening on {receiver.url}{where}")
        raise _first(failures)


def listen_to_events(env: Env, options: ListenOptions, client: Client) -> int:
    """The same with deliveries that are made here. Raises what `watch_workspace` raises, too."""
    from reader_cli.webhooks.bridge import bridge_events

    failures: Failures = queue.SimpleQueue()
    with _opened(env, options, failures) as intake:
        for item in bridge_events(client, options.secret, env.now):
            if isinstance(item, Notice):
                env.say(f"reader: {harmless(item.message)}")
            elif item.event in options.events:
                intake.take(item)
            if not failures.empty():
                raise failures.get()
    raise AssertionError("the stream never ends")


@contextmanager
def _registered(options: ListenOptions, receiver: Receiver) -> Iterator[str]:
    """Yields what to say of it."""
    if options.client is None:
        yield ""
        return
    url = reachable_url(options.client, receiver, options.public_url)
    with registered(options.client, NAMES[0], url, options.events, options.secret) as webhook_id:
        yield f"; registered as {harmless(webhook_id)}"


@contextmanager
def _opened(env: Env, options: ListenOptions, failures: Failures) -> Iterator[Intake]:
    """The spool and a forwarder for each target."""

    def say(line: str) -> None:
        env.say(f"reader: {harmless(line)}")

    with ExitStack() as stack:
        spool = Spool(webhooks_dir())
        stack.callback(spool.close)
        _tidy(env, spool)
        forwarders = []
        for target in options.targets:
            stack.enter_context(spool.reserved(target.name))
            forwarder = Forwarder(spool, target, options.secret, now=env.now, say=say, fail=failures.put)
            forwarders.append(stack.enter_context(forwarder))

        def wake() -> None:
            for forwarder in forwarders:
                forwarder.wake()

        yield Intake(
            spool,
            options.secret,
            [target.name for target in options.targets],
            now=env.now,
            show=lambda line: write_object(env, line),
            wake=wake,
            fail=failures.put,
        )


def _first(failures: Failures) -> Exception:
    """Looks up every second: a signal that the system hands to another thread does not wake this one."""
    while True:
        with suppress(queue.Empty):
            return failures.get(timeout=1.0)


def _tidy(env: Env, spool: Spool) -> None:
    if lost := spool.prune(env.now()):
        env.say(f"reader: dropped {count(lost, 'delivery')} that no target took for a week")
