"""What becomes of a delivery that comes in: judged, shown, kept, and only then answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from reader_cli.webhooks.delivery import Delivery
from reader_cli.webhooks.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify
from reader_cli.webhooks.spool import Spool

REPEATED = "repeated"
UNREADABLE = "unreadable"
# A repeated one is answered like the first: the sender did not hear that it was taken.
_ANSWERS = {"valid": 204, REPEATED: 204, "stale": 401, "forged": 401, UNREADABLE: 400}
_FAILED = 500
_SHOWN = 200  # characters of what anybody may have put into a header


class Intake:
    """`show` takes an object for one line of output, `wake` is called when something was kept for the targets, `now`
    gives unix seconds, and `fail` takes what ends the listening."""

    def __init__(
        self,
        spool: Spool,
        secret: str,
        targets: Sequence[str],
        *,
        now: Callable[[], float],
        show: Callable[[dict[str, Any]], None],
        wake: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._spool, self._secret, self._targets = spool, secret, targets
        self._now, self._show, self._wake, self._fail = now, show, wake, fail
        self._lock = threading.Lock()

    def take(self, delivery: Delivery) -> int:
        """The HTTP status to answer with. One at a time: of two that are the same, one is the first.

        It is shown before it is kept. Whatever ends the process in between, the sender repeats it, and it is shown
        again rather than never.
        """
        with self._lock:
            try:
                verdict = self._judge(delivery)
                self._show(build_line(verdict, delivery))
                if verdict == "valid":
                    self._spool.add(delivery, self._targets)
                    self._wake()
            except Exception as error:
                self._fail(error)
                return _FAILED
            return _ANSWERS[verdict]

    def _judge(self, delivery: Delivery) -> str:
        timestamp, signature = delivery.header(TIMESTAMP_HEADER), delivery.header(SIGNATURE_HEADER)
        verdict = verify(delivery.body, timestamp, signature, secret=self._secret, now=self._now())
        if not verdict:
            return str(verdict)
        if not delivery.id or delivery.payload is None:
            return UNREADABLE
        return REPEATED if self._spool.knows(delivery.id) else str(verdict)


def build_line(verdict: str, delivery: Delivery) -> dict[str, Any]:
    """One delivery as an object. Of one that is not genuine the payload is left out."""
    line: dict[str, Any] = {"event": delivery.event[:_SHOWN], "delivery": delivery.id[:_SHOWN], "verdict": verdict}
    if delivery.replay:
        line["replay"] = True
    return line | ({"payload": delivery.payload} if verdict in ("valid", REPEATED) else {})
