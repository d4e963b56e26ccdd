"""Durations and moments as users type them (cli: scripting)."""

from __future__ import annotations

import re
from typing import NamedTuple

from typer import BadParameter

_DURATION = r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?"
_UNITS = (86400, 3600, 60, 1)


class Since(NamedTuple):
    """A moment in unix seconds, or so many seconds before now."""

    moment: float | None
    ago: float = 0.0

    def unix(self, now: float) -> float:
        return now - self.ago if self.moment is None else self.moment


def parse_duration(text: str | float) -> float:
    """Seconds from `90`, `90s`, `1.5s`, `10m`, `1h30m` or `7d`. Raises BadParameter on anything else, zero included."""
    match = re.fullmatch(_DURATION, str(text).strip().lower())
    parts = (float(part or 0) for part in match.groups()) if match else ()
    total = sum(part * unit for part, unit in zip(parts, _UNITS, strict=False))
    if total <= 0:
        raise BadParameter(f"{text!r} is not a duration; use 90, 90s, 10m or 1h30m")
    return total


def parse_since(text: str) -> Since:
    """A duration, or a date or time in ISO 8601, local where it names no zone. Raises BadParameter."""
    from datetime import datetime

    try:
        return Since(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return Since(None, parse_duration(text))
    except BadParameter:
        raise BadParameter(f"{text!r} is neither a duration (2h, 7d) nor a date (2026-04-30)") from None
