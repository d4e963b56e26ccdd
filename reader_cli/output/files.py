"""Where results go: stdout, or a file that is either whole or still called FILE.part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.output.report import quote


@contextmanager
def open_output(env: Env, path: Path | None, *, force: bool) -> Iterator[BinaryIO]:
    """stdout, or `path` by way of `path.part`, which is renamed when the block ends well and kept when it doesn't.

    Raises UsageError when `path` exists and `force` is not given, or can't be written.
    """
    if path is None:
        yield env.stdout
        return
    refuse_existing(path, force=force)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as output:
        yield output
    part.replace(path)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises UsageError; for commands that would otherwise pay for what they can't write."""
    if path.exists() and not force:
        raise UsageError(
            f"{path} exists", hint=f"Add --force to replace it, or choose another file than {quote(str(path))}."
        )


def build_writer(out: BinaryIO, only: str | None, *, flush: bool) -> Callable[[bytes], None]:
    """Writes one page a line; with `flush` at once, for a reader who waits for it."""
    from reader_cli.output.jsonl import is_failed

    def write(line: bytes) -> None:
        if only is None or is_failed(line) == (only == "failed"):
            out.write(line + b"\n")
            if flush:
                out.flush()

    return write
