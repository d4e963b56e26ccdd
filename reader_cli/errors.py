"""Every failure that a user can meet, with its exit code.

ReaderError                     message, hint, exit_code
├── UsageError                  2   bad option, bad input file
├── ConfigError                 6   no key, an empty variable, an engine that is not installed
├── NotGenuine                  6   a delivery whose signature is stale or forged
├── NotFoundLocally             7   a JOB that names nothing, no engine running
├── NothingToDo                 8   nothing to retry, a second engine on one data folder
├── Unreachable                 9   no answer, or an answer that is not the API
├── MaybeAccepted               10  a submission whose answer was lost
├── TimedOut                    124 --timeout ran out, the job goes on
└── ApiError                    by `code`: one of the contract's eleven, or one that is not known yet
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from reader_cli.models import ErrorCode


class ExitCode(IntEnum):
    OK = 0
    BUG = 1
    USAGE = 2
    JOB_FAILED = 3
    JOB_CANCELLED = 4
    PAGES_FAILED = 5
    AUTH = 6
    NOT_FOUND = 7
    CONFLICT = 8
    UNREACHABLE = 9
    MAYBE_ACCEPTED = 10
    TIMEOUT = 124
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


EXIT_OF_CODE: dict[str, ExitCode] = {
    ErrorCode.INVALID_REQUEST: ExitCode.USAGE,
    ErrorCode.UNAUTHENTICATED: ExitCode.AUTH,
    ErrorCode.INSUFFICIENT_CREDITS: ExitCode.AUTH,
    ErrorCode.URL_BLOCKED: ExitCode.AUTH,
    ErrorCode.NOT_FOUND: ExitCode.NOT_FOUND,
    ErrorCode.CONFLICT: ExitCode.CONFLICT,
}

# Which of several outcomes one exit code tells, first match wins (cli: exit codes of several jobs).
WORST_FIRST = (1, 9, 10, 6, 7, 8, 3, 4, 5, 0)


class ReaderError(Exception):
    """A failure told to the user in one sentence.

    `message` says what happened and to what; `hint` is the next command to try; `code` is the stable word that
    scripts branch on (`error.code` under `--json`).
    """

    exit_code: ExitCode = ExitCode.BUG
    code: str = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.request_id: str | None = None


class UsageError(ReaderError):
    exit_code = ExitCode.USAGE
    code = "usage"


class ConfigError(ReaderError):
    exit_code = ExitCode.AUTH
    code = "configuration"


class NotGenuine(ReaderError):
    """`code` is the verdict: `stale` or `forged`."""

    exit_code = ExitCode.AUTH


class NotFoundLocally(ReaderError):
    exit_code = ExitCode.NOT_FOUND
    code = "not_found"


class NothingToDo(ReaderError):
    exit_code = ExitCode.CONFLICT
    code = "conflict"


class Unreachable(ReaderError):
    """Nothing answered, or what answered is not the Reader API (a proxy's page, a cut body).

    `sent` is False when the request surely never reached the server; `transient` is False when asking again
    can't help; `retry_after` is the pause in seconds that a proxy asked for.
    """

    exit_code = ExitCode.UNREACHABLE
    code = "unreachable"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        sent: bool = True,
        transient: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent
        self.transient = transient
        self.retry_after = retry_after


class MaybeAccepted(ReaderError):
    exit_code = ExitCode.MAYBE_ACCEPTED
    code = "maybe_accepted"


class ApiError(ReaderError):
    """The server refused, in the contract's error envelope.

    `status` is the HTTP status; `details` is whatever object came with the error, `{}` without one;
    `retry_after` is the pause in seconds that a 429 or 503 asked for.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int,
        details: dict[str, Any] | None = None,
        request_id: str | None = None,
        docs_url: str | None = None,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.retry_after = retry_after
        self.status = status
        self.details = details or {}
        self.request_id = request_id
        self.docs_url = docs_url
        self.exit_code = EXIT_OF_CODE.get(code, ExitCode.UNREACHABLE if status >= 429 else ExitCode.USAGE)


class TimedOut(ReaderError):
    """`--timeout` ran out; the job goes on."""

    exit_code = ExitCode.TIMEOUT
    code = "timeout"
