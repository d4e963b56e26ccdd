"""Objects as data on stdout: one a line (cli: scripting)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reader_cli.env import Env


def write_object(env: Env, value: Mapping[str, Any]) -> None:
    """One JSON object on one line of ASCII, so that nothing in it is live on a terminal (cli: law 7)."""
    env.stdout.write(json.dumps(value).encode() + b"\n")
    env.stdout.flush()


def without_results(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as the server sent it, but for its pages."""
    return {key: value for key, value in job.items() if key != "results"}
