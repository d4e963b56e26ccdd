"""Puts the Typer app together; nothing else. A command's module is imported when that command is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from inspect import getdoc
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import CompletionItem, TyperGroup  # type: ignore[attr-defined]
from typer.main import get_command

from reader_cli.completing import enable_completion
from reader_cli.errors import UsageError
from reader_cli.grouping import grouped

if TYPE_CHECKING:
    from reader_cli.env import Env

# In the order of `reader --help`, each with its one line of help: told here, so that --help need not import them all.
# A module reader_cli.commands.NAME holds the function NAME, whose docstring goes on from there, or `app` for a group.
COMMANDS: dict[str, dict[str, str]] = {
    "Jobs": {
        "submit": "Start a batch of URLs, or a crawl of one; prints the job ids.",
        "status": "Show how jobs stand: one request a job.",
        "watch": "Follow jobs to their end, with a live progress bar.",
        "cancel": "Stop jobs; pages that are finished stay readable.",
        "retry": "Run the failed URLs of a job again; good results stay.",
        "results": "Write every page of every job as JSONL, streamed.",
    },
    "The engine": {
        "demo": "Try it all on the engine's own sample site.",
        "serve": "Run the engine in the foreground.",
        "local": "Look at, stop or read the log of the background engine.",
    },
    "Account": {
        "login": "Store an API key.",
        "logout": "Forget an API key.",
        "config": "Show or change which server is used.",
        "credits": "Show the credits of the workspace.",
        "usage": "List what was read and what it cost.",
        "queue": "Show how many jobs are active and waiting.",
        "doctor": "Find out why it does not work.",
    },
    "More": {
        "jobs": "List what was submitted from here.",
        "read": "Read one page while you wait; markdown to stdout.",
        "top": "Show the jobs of the workspace live on one screen.",
        "webhooks": "Register webhooks, and receive their deliveries on this machine.",
        "events": "Write what happens in the workspace as JSONL, as it happens.",
        "completion": "Write the completion script of a shell to stdout.",
    },
}
SUMMARIES = {name: summary for group in COMMANDS.values() for name, summary in group.items()}
EPILOG = "JOB is a job id, @last, @-2, the name of a run, or the start of an id that you submitted from here."


class LazyGroup(TyperGroup):
    """Builds one command, the one that is run: building all of them would cost every call and every TAB."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(SUMMARIES)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in SUMMARIES:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _build_command(cmd_name)
        return self.commands[cmd_name]

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> Any:  # type: ignore[override]
        named = [CompletionItem(name, help=text) for name, text in SUMMARIES.items() if name.startswith(incomplete)]
        return named or super().shell_complete(ctx, incomplete)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        for title, summaries in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(list(summaries.items()))

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _unwinding():  # --help is written here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with _unwinding():
            return super().invoke(ctx)


@contextmanager
def _unwinding() -> Iterator[None]:
    """Typer's main would turn these two into exit codes of its own before they reach ours."""
    try:
        yield
    except (BrokenPipeError, KeyboardInterrupt) as error:
        raise Unwound(error) from None


class Unwound(Exception):
    """Carries an exception past Typer's own handling."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def new_app() -> typer.Typer:
    """A Typer app with the project's settings; groups of commands are made with it."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,  # halves --help and keeps ANSI out of a piped one
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def build_app() -> typer.Typer:
    app = new_app()
    app.callback(cls=LazyGroup, epilog=EPILOG, invoke_without_command=True)(_root)
    return app


def invoke(argv: Sequence[str], env: Env) -> int:
    """Runs one command line and returns its exit code. Raises ReaderError and what commands raise."""
    env.json_errors = "--json" in argv  # for what goes wrong before the command has its options
    if "_READER_COMPLETE" in env.environ:
        enable_completion()
    try:
        code = build_app()(args=list(argv), prog_name="reader", obj=env, standalone_mode=False)
    except Unwound as unwound:
        raise unwound.cause from None
    except typer.TyperException as error:
        raise _usage_error(error) from None
    return code if isinstance(code, int) else 0


def _show_version(asked: bool) -> None:
    if asked:
        from reader_cli import __version__

        typer.echo(f"reader {__version__}")
        raise typer.Exit(0)


def _root(
    ctx: typer.Context,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="Reach the server through this proxy.")] = None,
    ca_bundle: Annotated[
        str | None, typer.Option(metavar="FILE", help="Trust these certificates instead of the system's.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Submit, watch and read web-reading jobs. On a fresh machine it works with its own engine."""
    ctx.obj.proxy, ctx.obj.ca_bundle = proxy, ca_bundle
    _show_help(ctx)


def _show_help(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _build_command(name: str) -> Any:
    module = import_module(f"reader_cli.commands.{name}")
    app = getattr(module, "app", None)
    if app is None:
        function = getattr(module, name)
        app = new_app()
        app.command(name, help=_help(name, function))(grouped(function))
    else:
        if not app.registered_callback:
            app.callback(invoke_without_command=True)(_show_help)
        app.info.help = _help(name, app.registered_callback and app.registered_callback.callback)
    command = get_command(app)
    command.name = name
    return command


def _help(name: str, function: Callable[..., int] | None) -> str:
    return f"{SUMMARIES[name]}\n\n{(function and getdoc(function)) or ''}".strip()


def _usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "reader"
    return UsageError(error.format_message(), hint=f"{path} --help")
