"""Objects as data on stdout: one a line (cli: scripting)."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from typing import Any

from reader_cli.env import Env
from reader_cli.output.text import harmless


def write_object(env: Env, value: Mapping[str, Any]) -> None:
    """One JSON object on one line of ASCII, so that nothing in it is live on a terminal (cli: law 7)."""
    env.stdout.write(jsonlib.dumps(value).encode() + b"\n")
    env.stdout.flush()


def write_facts(env: Env, facts: Mapping[str, Any], *, json: bool) -> None:
    """An object's fields for people, one a line; with `json` as one JSON object."""
    if json:
        write_object(env, facts)
        return
    width = max(map(len, facts), default=0)
    env.stdout.writelines(f"{harmless(key):<{width}}  {_told(value)}\n".encode() for key, value in facts.items())


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else harmless(", ".join(map(str, value)) if isinstance(value, list) else value) or "-"


def without_results(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as the server sent it, but for its pages."""
    return {key: value for key, value in job.items() if key != "results"}
