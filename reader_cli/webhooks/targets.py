"""Where deliveries are passed on to: the user's app, or a command of theirs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Protocol

from reader_cli.errors import UsageError
from reader_cli.urls import split_url
from reader_cli.webhooks.delivery import Delivery

SECONDS = 10.0  # that an app may take, as Reader itself would wait
_EXEC = "exec "  # begins a command's name; no URL begins so
# What belongs to one connection and not to the delivery (RFC 9110, 7.6.1), and what the client sets anew.
_HOPS = re.compile(
    "host|connection|keep-alive|proxy-connection|transfer-encoding|te|trailer|upgrade|content-length|expect",
    re.IGNORECASE,
)


class NotThere(Exception):
    """The target can't be reached at all, which has nothing to do with this delivery. Says why."""


class Target(Protocol):
    name: str

    def deliver(self, delivery: Delivery) -> str | None:
        """Why it was not taken, None when it was. Raises NotThere."""


class App:
    """An HTTP server. It gets headers and body as they came, so that its own check of the signature holds."""

    def __init__(self, url: str) -> None:
        import httpx

        from reader_cli.client.http import is_loopback

        parts = split_url(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--forward-to {url!r} is not an http or https URL")
        self.name = url
        self._client = httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=not is_loopback(url))

    def deliver(self, delivery: Delivery) -> str | None:
        import httpx

        headers = [(name, value) for name, value in delivery.headers if not _HOPS.fullmatch(name)]
        try:
            answer = self._client.post(self.name, content=delivery.body, headers=_raw(headers))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotThere(str(error) or type(error).__name__) from error
        except httpx.HTTPError as error:
            return str(error) or type(error).__name__
        return None if answer.is_success else f"HTTP {answer.status_code}"


class Command:
    """A shell command. It gets the payload on stdin and what it is about in the environment; exit code 0 is a yes.

    Nothing of a delivery is ever a part of the command itself. What it writes goes to stderr.
    """

    def __init__(self, command: str, environ: Mapping[str, str]) -> None:
        self.name = _EXEC + command
        self._command = command
        self._environ = environ

    def deliver(self, delivery: Delivery) -> str | None:
        done = subprocess.run(
            ["/bin/sh", "-c", self._command],
            input=delivery.body,
            stdout=sys.stderr.fileno(),
            env={**self._environ, **build_variables(delivery)},
            check=False,
        )
        return None if done.returncode == 0 else f"exit code {done.returncode}"


def build_targets(
    environ: Mapping[str, str], forward_to: str | None = None, command: str | None = None
) -> list[Target]:
    """Raises UsageError for what is no URL."""
    app = [App(forward_to)] if forward_to is not None else []
    return [*app, *([Command(command, environ)] if command is not None else [])]


def find_target(name: str, environ: Mapping[str, str]) -> Target:
    """The target of that name."""
    return Command(name.removeprefix(_EXEC), environ) if name.startswith(_EXEC) else App(name)


def build_variables(delivery: Delivery) -> dict[str, str]:
    """READER_EVENT, READER_DELIVERY, READER_JOB_ID and READER_REPLAY (1, or empty) for a command."""
    told = {
        "READER_EVENT": delivery.event,
        "READER_DELIVERY": delivery.id,
        "READER_JOB_ID": delivery.job_id,
        "READER_REPLAY": "1" if delivery.replay else "",
    }
    return {name: value.replace("\0", "") for name, value in told.items()}


def _raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header bytes came as Latin-1 characters, and go out as the same bytes."""
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
