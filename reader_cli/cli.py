"""Puts the Typer app together; nothing else. A command's module is imported when that command is run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.completion import completion_init
from typer.core import TyperGroup

from reader_cli.errors import UsageError

if TYPE_CHECKING:
    from reader_cli.env import Env

# In the order of `reader --help`. A module reader_cli.commands.NAME holds the function NAME, or `app` for a group.
COMMANDS: dict[str, tuple[str, ...]] = {
    "Jobs": ("submit", "status", "watch", "cancel", "retry", "results"),
    "More": ("demo", "serve", "local", "completion"),
}
EPILOG = "JOB is a job id, @last, @-2, the name of a run, or the start of an id that you submitted from here."


class LazyGroup(TyperGroup):
    """Builds one command, the one that is run: building all of them would cost every call and every TAB."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [name for names in COMMANDS.values() for name in names]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in self.list_commands(ctx):
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _build_command(cmd_name)
        return self.commands[cmd_name]

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        for title, names in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, _summary(name)) for name in names])

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        # Typer's main would turn these two into exit codes of its own before they reach ours.
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, KeyboardInterrupt) as error:
            raise Unwound(error) from None


class Unwound(Exception):
    """Carries an exception past Typer's own handling."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def new_app(help: str) -> typer.Typer:
    """A Typer app with the project's settings; groups of commands are made with it."""
    return typer.Typer(
        help=help,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # halves --help and keeps ANSI out of a piped one
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def build_app() -> typer.Typer:
    app = new_app("Submit, watch and read web-reading jobs. On a fresh machine it works with its own engine.")
    app.info.epilog = EPILOG
    app.callback(cls=LazyGroup)(_root)
    return app


def invoke(argv: Sequence[str], env: Env) -> int:
    """Runs one command line and returns its exit code. Raises ReaderError and what commands raise."""
    if "_READER_COMPLETE" in env.environ:
        completion_init()
    try:
        code = build_app()(args=list(argv), prog_name="reader", obj=env, standalone_mode=False)
    except Unwound as unwound:
        raise unwound.cause from None
    except typer.TyperException as error:
        raise _usage_error(error, argv, env) from None
    return code if isinstance(code, int) else 0


def _root(
    version: bool = typer.Option(False, "--version", help="Show the version and exit.", is_eager=True),
) -> None:
    """Submit, watch and read web-reading jobs. On a fresh machine it works with its own engine."""
    if version:
        from reader_cli import __version__

        typer.echo(f"reader {__version__}")
        raise typer.Exit(0)


def _module(name: str) -> Any:
    return import_module(f"reader_cli.commands.{name}")


def _build_command(name: str) -> Any:
    module = _module(name)
    app = getattr(module, "app", None)
    if app is None:
        app = new_app("")
        app.info.no_args_is_help = False
        app.command(name, context_settings={"help_option_names": ["-h", "--help"]})(getattr(module, name))
    command = typer.main.get_command(app)
    command.name = name
    return command


def _summary(name: str) -> str:
    """The first line of the command's docstring: the one place where its purpose is told."""
    module = _module(name)
    text = module.app.info.help if hasattr(module, "app") else getattr(module, name).__doc__
    return str(text).strip().split("\n", 1)[0]


def _usage_error(error: typer.TyperException, argv: Sequence[str], env: Env) -> UsageError:
    env.json_errors = env.json_errors or "--json" in argv
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "reader"
    return UsageError(error.format_message(), hint=f"{path} --help")
