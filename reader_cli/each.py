"""The same request for several jobs: one that fails does not keep the others from being answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reader_cli.env import Env
from reader_cli.errors import WORST_FIRST, ReaderError
from reader_cli.output.report import report


def for_each(env: Env, job_ids: Iterable[str], act: Callable[[str], None]) -> int:
    """Calls `act` for every job. Raises the worst ReaderError at the end, having reported the others; each names
    its job.

    Under `--json` only the worst is told: stderr holds one object (cli: scripting).
    """
    errors: list[ReaderError] = []
    for job_id in job_ids:
        try:
            act(job_id)
        except ReaderError as error:
            error.message = error.message if job_id in error.message else f"{job_id}: {error.message}"
            errors.append(error)
    if not errors:
        return 0
    errors.sort(key=_badness)
    for other in errors[1:]:
        if not env.json_errors:
            report(env, other)
    raise errors[0]


def _badness(error: ReaderError) -> int:
    return WORST_FIRST.index(error.exit_code) if error.exit_code in WORST_FIRST else -1
