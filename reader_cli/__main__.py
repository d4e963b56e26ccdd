"""The one entry: builds Env, runs a command, and turns whatever went wrong into a sentence and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from reader_cli.env import Env
    from reader_cli.errors import ReaderError


def run() -> NoReturn:
    """The `reader` console script."""
    interrupt = signal.getsignal(signal.SIGINT)  # ignored where a script put us in the background
    if interrupt is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until we can say something better than a traceback
    argv = sys.argv[1:]
    if argv == ["--version"]:  # before typer is imported, which costs more than Python's own start
        from reader_cli import __version__

        try:
            os.write(1, f"reader {__version__}\n".encode())
            sys.exit(0)
        except OSError:
            pass  # told by the long way
    from reader_cli.env import discard, from_process

    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    env = from_process()
    signal.signal(signal.SIGINT, interrupt)
    try:
        code = main(argv, env)
        with suppress(OSError):  # what came before an error is data, too
            env.stdout.flush()
    except KeyboardInterrupt:  # another one, while the first was being answered, or nobody took the last lines
        discard(env.stdout)
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to be interrupted
    sys.exit(code)


def main(argv: Sequence[str], env: Env) -> int:
    """Runs `reader ARGV…` and returns its exit code (cli: exit codes). Whatever is raised ends here."""
    from reader_cli.errors import ExitCode, ReaderError

    try:
        from reader_cli.cli import invoke

        code = invoke(argv, env)
        env.stdout.flush()
        return code
    except ReaderError as error:
        _report(env, error)
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.BROKEN_PIPE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.BUG
    except Exception as error:
        failure = _from_os(error) if isinstance(error, OSError) else _bug(error)
        _report(env, failure)
        return failure.exit_code


def _terminated(number: int, _frame: FrameType | None) -> None:
    # An exception, so that every `finally` runs: a live bar gives the cursor back.
    raise SystemExit(143)


def _report(env: Env, error: ReaderError) -> None:
    from reader_cli.output.report import report

    with suppress(BrokenPipeError):  # nobody reads it, and the exit code tells it all the same
        report(env, error)


def _from_os(error: OSError) -> ReaderError:
    from reader_cli.errors import UsageError

    where = f"{error.filename}: " if error.filename else ""
    return UsageError(f"{where}{error.strerror or error}")


def _bug(error: Exception) -> ReaderError:
    from reader_cli import __version__
    from reader_cli.errors import ReaderError

    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119
    return ReaderError(
        f"unexpected {type(error).__name__} at {place}: {error}",
        hint=f"This is a bug in reader {__version__}. Please report it with the command that you ran.",
    )


if __name__ == "__main__":
    run()
