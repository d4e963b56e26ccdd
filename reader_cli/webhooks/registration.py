"""A webhook that is registered for as long as somebody listens, and taken away afterwards."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from reader_cli.errors import ReaderError, UsageError
from reader_cli.urls import split_url
from reader_cli.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from reader_cli.client.api import Client

NAMES = ("reader webhooks listen", "reader watch")


@contextmanager
def registered(client: Client, name: str, url: str, events: Sequence[str], secret: str) -> Iterator[str]:
    """Yields its id. `name` is one of NAMES. What listeners that were killed left behind is taken away first."""
    with suppress(ReaderError):
        _remove_leftovers(client)
    body = {"url": url, "name": name, "events": list(events), "secret": secret}
    webhook_id = str(client.create_webhook(body)["id"])
    try:
        yield webhook_id
    finally:
        with suppress(ReaderError):  # it is a leftover then
            client.delete_webhook(webhook_id)


def reachable_url(client: Client, receiver: Receiver, public_url: str | None) -> str:
    """Where the server reaches `receiver`. Raises UsageError for a server that can't without a public URL."""
    from reader_cli.client.http import is_loopback

    if public_url is None and not is_loopback(f"http://{client.http.host}"):
        raise UsageError(
            f"{client.http.host} cannot reach this machine",
            hint="Give the URL of a tunnel that leads to this machine: --public-url URL --port N\n"
            "or, to listen, take the event stream: --from-events",
        )
    return public_url or receiver.url


def _remove_leftovers(client: Client) -> None:
    for webhook in client.list_webhooks()[0]:
        if webhook.get("name") in NAMES and _is_deserted(webhook):
            client.delete_webhook(str(webhook["id"]))


def _is_deserted(webhook: dict[str, Any]) -> bool:
    """Whether it leads to a port of this machine where nobody listens any more."""
    parts = split_url(str(webhook.get("url")))
    if parts.hostname != "127.0.0.1" or parts.port is None:
        return False
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
