"""A failure on stderr: a sentence and the next step, or one JSON object (cli: law 8, scripting)."""

from __future__ import annotations

import json
import shlex
from typing import Any

from reader_cli.env import Env
from reader_cli.errors import ReaderError
from reader_cli.output.text import harmless


def report(env: Env, error: ReaderError) -> None:
    """Writes `error` to stderr in the form that the command's options chose; at a TAB nothing, for it would land in
    the line that the user is typing."""
    if env.environ.get("_READER_COMPLETE"):
        return
    if env.json_errors:
        env.stderr.write(json.dumps(build_error_object(error)) + "\n")
    else:
        env.stderr.writelines(line + "\n" for line in build_error_lines(error))
    env.stderr.flush()


def build_error_object(error: ReaderError) -> dict[str, Any]:
    """`{"error": {"code", "message", "requestId", "hint"}, "exitCode"}` (cli: scripting)."""
    fields = {"code": error.code, "message": error.message, "requestId": error.request_id, "hint": error.hint or None}
    return {"error": fields, "exitCode": int(error.exit_code)}


def build_error_lines(error: ReaderError) -> list[str]:
    """The sentence with code and request id where the server gave them, then the hint, each of its lines whole."""
    told = [harmless(word) for word in (_wire_code(error), _request(error)) if word]
    sentence = "\n".join(harmless(line) for line in error.message.split("\n"))
    lines = [f"reader: {sentence}" + (f" ({', '.join(told)})" if told else "")]
    return lines + [harmless(line, 2000) for line in error.hint.split("\n") if line]


def _wire_code(error: ReaderError) -> str:
    return error.code if error.request_id or hasattr(error, "docs_url") else ""


def _request(error: ReaderError) -> str:
    return f"request {error.request_id}" if error.request_id else ""


def quote(word: str) -> str:
    """`word` as a shell would take it, for commands shown in hints."""
    return shlex.quote(word)
