"""The signature of a delivery, made and checked (contract: webhooks). Both sides of the wire use this one."""

from __future__ import annotations

import hashlib
import hmac
import time
from enum import StrEnum

EVENT_HEADER = "X-Reader-Event"
DELIVERY_HEADER = "X-Reader-Delivery"
TIMESTAMP_HEADER = "X-Reader-Timestamp"
SIGNATURE_HEADER = "X-Reader-Signature"
TOLERANCE_SECONDS = 300.0

_SCHEME = "sha256="
_DIGITS = 15  # of a timestamp; more are no date


class Verdict(StrEnum):
    """Only `VALID` is true, so that `if verify(...)` does what it says."""

    VALID = "valid"
    STALE = "stale"
    FORGED = "forged"

    def __bool__(self) -> bool:
        return self is Verdict.VALID


def sign(body: bytes, timestamp: int, *, secret: str) -> str:
    """The value of `X-Reader-Signature` for a body sent at `timestamp`, in unix seconds."""
    return _SCHEME + _digest(body, str(timestamp), secret)


def verify(
    body: bytes,
    timestamp: str | None,
    signature: str | None,
    *,
    secret: str,
    now: float | None = None,
    tolerance: float = TOLERANCE_SECONDS,
) -> Verdict:
    """Whether a delivery comes from who knows `secret`, and is not older than `tolerance` seconds, nor as much ahead.

    `body` is the request's body as it came, byte for byte; `timestamp` and `signature` are the values of its headers,
    None where they are missing; `now` is in unix seconds, this machine's clock by default. A signature that does not
    fit is `FORGED`, however old; nothing that a sender can put into the headers raises. A genuine delivery may come
    more than once: what has the same `X-Reader-Delivery` is the same delivery. Raises ValueError for an empty secret,
    which everybody knows.
    """
    if not secret:
        raise ValueError("the secret is empty")
    if not timestamp or not signature or not _is_number(timestamp):
        return Verdict.FORGED
    expected = _SCHEME + _digest(body, timestamp, secret)
    # As bytes: of strings that are not ASCII compare_digest would raise.
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        return Verdict.FORGED
    age = (time.time() if now is None else now) - int(timestamp)
    return Verdict.VALID if abs(age) <= tolerance else Verdict.STALE


def _digest(body: bytes, timestamp: str, secret: str) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _is_number(timestamp: str) -> bool:
    return timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS
