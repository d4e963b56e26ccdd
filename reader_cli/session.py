"""What every command that talks to a server starts with: settings, one client, the history, JOB references.

Each is imported when it is needed: a TAB imports the command's module, and with it this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, TypedDict

import typer

from reader_cli.env import Env, state_dir
from reader_cli.output.text import count, harmless

if TYPE_CHECKING:
    from reader_cli.client.api import Client
    from reader_cli.config import Settings
    from reader_cli.events import Done
    from reader_cli.history import History, Run
    from reader_cli.models import Job


def open_env(ctx: typer.Context, *, quiet: bool = False, json: bool = False) -> Env:
    """The command's Env. `--json` leaves stderr to one error object and nothing else (cli: scripting)."""
    env: Env = ctx.obj
    env.json_errors = json
    env.quiet = quiet or json
    return env


class Connection(TypedDict):
    proxy: str | None
    ca_bundle: str | None


def connection(env: Env) -> Connection:
    """How a server is reached, for `Client`: the options before the command, then SSL_CERT_FILE. The environment's
    proxies are httpx's own business."""
    return {"proxy": env.proxy, "ca_bundle": env.ca_bundle or env.environ.get("SSL_CERT_FILE")}


class Session:
    """Opened by `open_session`; the engine, httpx and the history are touched only when they are needed."""

    def __init__(self, env: Env, configured: Settings | None) -> None:
        self.env = env
        self._configured = configured
        self._opened: list[Client] = []

    @property
    def server(self) -> str:
        """What the history calls this server: `local` or a base URL."""
        from reader_cli.config import LOCAL

        return self._configured.server if self._configured else LOCAL

    @cached_property
    def settings(self) -> Settings:
        return self._configured or self._local_settings()

    @cached_property
    def client(self) -> Client:
        from reader_cli.client.api import Client

        client = Client(
            self.settings.base_url,
            self.settings.key,
            clock=self.env.clock,
            sleep=self.env.sleep,
            revive=self._revive if self.settings.local else None,
            notify=lambda line: self.env.say(f"reader: {harmless(line)}"),
            **connection(self.env),
        )
        self._opened.append(client)
        return client

    @cached_property
    def history(self) -> History:
        from reader_cli.history import History

        history = History.open(state_dir() / "history.db")
        if history.warning:
            self.env.say(f"reader: {harmless(history.warning)}")
        return history

    def job_ids(self, refs: Sequence[str], *, reading: bool) -> list[str]:
        """The jobs that `refs` name, each once, in order; says where a run is not submitted to its end. Raises
        NotFoundLocally or UsageError."""
        from reader_cli.references import resolve

        found: list[str] = []
        for ref in refs:
            found += resolve(ref, self.history, self.server, reading=reading)
            if run := self.run(ref):
                self.say_missing(run)
        return list(dict.fromkeys(found))

    def words(self, refs: Sequence[str], *, reading: bool) -> list[str]:
        """What to call the same jobs in a command that is suggested. Raises as `job_ids` does."""
        from reader_cli.references import lasting_words

        found = [lasting_words(ref, self.history, self.server, reading=reading) for ref in refs]
        return list(dict.fromkeys(chain.from_iterable(found)))

    def run(self, ref: str) -> Run | None:
        """The run that `ref` names; None where it is a job's id. Raises as `job_ids` does."""
        from reader_cli.references import named_run

        return named_run(ref, self.history, self.server)

    def say_missing(self, run: Run) -> None:
        if run.missing:
            what = f"{count(sum(part.urls for part in run.missing), 'URL')} of {run.name or run.id}"
            self.env.say(f"reader: {what} are not submitted yet: reader submit --resume {run.id}")

    def remember(self, job: Job) -> None:
        """Keeps a job's state, as the server told it, in the history."""
        self.history.update_state(self.server, job)

    def remember_ends(self, ended: Iterable[Done]) -> None:
        self.history.update_states(self.server, ended)

    def close(self) -> None:
        for client in self._opened:
            client.close()

    def _local_settings(self) -> Settings:
        from reader_cli.config import LOCAL, Settings
        from reader_cli.local import ensure_engine

        engine, started = ensure_engine(self.env)
        if started:
            self.env.say(f"reader: no server is configured; started the local engine at {engine.url}")
        return Settings(engine.url, engine.key, LOCAL, "the local engine")

    def _revive(self) -> tuple[str, str]:
        from reader_cli.local import ensure_engine

        engine, started = ensure_engine(self.env)
        if started:
            self.env.say(f"reader: the local engine was gone; started it again at {engine.url}")
        return engine.url, engine.key


@contextmanager
def open_session(env: Env, api_url: str | None, profile: str | None, *, local: bool = False) -> Iterator[Session]:
    """`local` means the local engine, whatever is configured."""
    from reader_cli.config import find_server

    session = Session(env, None if local else find_server(env, api_url, profile))
    try:
        yield session
    finally:
        session.close()
