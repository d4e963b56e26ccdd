"""Where results go: stdout, or a file that is either whole or still called FILE.part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from reader_cli.env import Env
from reader_cli.errors import UsageError
from reader_cli.output.part import PartFile
from reader_cli.output.report import quote


class Output(Protocol):
    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


@contextmanager
def open_output(env: Env, path: Path | None, *, force: bool, resume: bool | None = None) -> Iterator[Output]:
    """stdout (`path` None or "-"), a device or pipe, or a file by way of a PartFile, which becomes `path` when the
    block ends well. `resume` None means that the command cannot: then nothing is kept when it doesn't.

    Raises UsageError when `path` exists and neither `force` nor `resume` is given, or can't be written.
    """
    if path is None or str(path) == "-":
        yield env.stdout
    elif path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as out:
            yield out
    else:
        refuse_existing(path, force=force or bool(resume))
        with PartFile(env, path, resume=resume) as part:
            yield part


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises UsageError; for commands that would otherwise pay for what they can't write."""
    if path.is_dir():
        raise UsageError(f"{path} is a directory")
    if path.exists() and not force:
        raise UsageError(
            f"{path} exists", hint=f"Add --force to replace it, or choose another file than {quote(str(path))}."
        )
