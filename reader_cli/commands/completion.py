from __future__ import annotations

from typing import Annotated

import typer

from reader_cli.errors import UsageError
from reader_cli.session import open_env

SHELLS = ("bash", "zsh", "fish", "pwsh")


def completion(
    ctx: typer.Context, shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish|pwsh", help="Which shell.")]
) -> int:
    """For bash, from the next shell on: reader completion bash >> ~/.bashrc"""
    if shell not in SHELLS:
        raise UsageError(f"there is no completion for {shell!r}", hint=f"reader completion {'|'.join(SHELLS)}")
    open_env(ctx).stdout.write(build_script(shell).encode())
    return 0


def build_script(shell: str) -> str:
    """The static script of `shell`; each TAB then runs `reader` with `_READER_COMPLETE` set."""
    from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]

    completion_init()
    return get_completion_script(prog_name="reader", complete_var="_READER_COMPLETE", shell=shell) + "\n"
