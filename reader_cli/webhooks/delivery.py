"""A delivery as it came: the headers and the body, byte for byte, because others will check the signature again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from reader_cli.webhooks.signing import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

REPLAY_HEADER = "X-Reader-Replay"  # on what was not sent by Reader but made here, from its event stream

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """`received` is in unix seconds."""

    headers: Headers
    body: bytes
    received: float

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def id(self) -> str:
        return self.header(DELIVERY_HEADER) or ""

    @property
    def event(self) -> str:
        return self.header(EVENT_HEADER) or ""

    @property
    def replay(self) -> bool:
        return self.header(REPLAY_HEADER) is not None

    @property
    def payload(self) -> dict[str, Any] | None:
        """None for a body that is no JSON object in UTF-8."""
        try:
            payload = json.loads(self.body.decode())
        except (ValueError, RecursionError):
            return None
        return payload if isinstance(payload, dict) else None

    @property
    def job_id(self) -> str:
        return str((self.payload or {}).get("jobId") or "")

    def signed(self, secret: str, now: float) -> Delivery:
        """The same delivery as if it were sent at `now`, in unix seconds."""
        renewed = (TIMESTAMP_HEADER.lower(), SIGNATURE_HEADER.lower())
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in renewed)
        stamp = (TIMESTAMP_HEADER, str(int(now))), (SIGNATURE_HEADER, sign(self.body, int(now), secret=secret))
        return Delivery((*kept, *stamp), self.body, self.received)
