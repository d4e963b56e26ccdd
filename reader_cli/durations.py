"""Durations as users type them (cli: scripting)."""

from __future__ import annotations

import re

from typer import BadParameter

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str | float) -> float:
    """Seconds from `90`, `90s`, `1.5s`, `10m` or `1h30m`. Raises BadParameter on anything else, zero included."""
    match = _DURATION.fullmatch(str(text).strip().lower())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise BadParameter(f"{text!r} is not a duration; use 90, 90s, 10m or 1h30m")
    return total
