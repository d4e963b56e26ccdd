"""Takes what is in the spool to its target, in a thread of its own, for as long as it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Self

from reader_cli.webhooks.delivery import Delivery
from reader_cli.webhooks.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE_SECONDS, Verdict, verify
from reader_cli.webhooks.spool import Kept, Spool
from reader_cli.webhooks.targets import NotThere, Target

OLD = TOLERANCE_SECONDS - 60  # seconds after which a signature is renewed, or the target would call it stale
LONGEST_PAUSE = 300.0  # seconds between two tries of one delivery
TICK = 60.0  # seconds; the longest wait without a look at the clock, which a machine that slept has moved on
LAST_SECONDS = 2.0  # for what is under way when the listening ends
LONGEST_ABSENCE = 15.0  # seconds between two looks for a target that is not there


class Forwarder:
    """Deliveries go out one after the other, oldest first. A target that is not there is waited for, and what it
    refuses is put back, so that the others get past it. `say` takes a line of talk, `fail` what ends the thread, `now`
    gives unix seconds."""

    def __init__(
        self,
        spool: Spool,
        target: Target,
        secret: str,
        *,
        now: Callable[[], float],
        say: Callable[[str], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._spool, self._target, self._secret = spool, target, secret
        self._now, self._say, self._fail = now, say, fail
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What is under way has a moment to end: cut off, it would be sent again by the next listener."""
        self._closing.set()
        self.wake()
        self._thread.join(LAST_SECONDS)

    def wake(self) -> None:
        """Something was added to the spool."""
        self._news.set()

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._news.clear()
                kept = self._spool.first(self._target.name)
                if kept is None:
                    self._news.wait()
                elif (wait := kept.due - self._now()) > 0:
                    self._news.wait(min(wait, TICK))
                else:
                    self._forward(kept)
        except Exception as error:  # nobody would see this thread die
            if not self._closing.is_set():
                self._fail(error)

    def _forward(self, kept: Kept) -> None:
        try:
            trouble = self._deliver(kept.delivery)
        except NotThere:
            return
        if trouble is None:
            self._spool.done(kept)
        else:
            pause = min(2.0 ** min(kept.tries, 10), LONGEST_PAUSE)
            self._spool.put_back(kept, self._now() + pause)
            self._say(f"{self._target.name} did not take {kept.delivery.id}: {trouble}; again in {pause:.0f} s")

    def _deliver(self, delivery: Delivery) -> str | None:
        """Waits until the target is there, and returns what it says then. Raises NotThere when the listening ends."""
        for tries in count():
            try:
                trouble = self._target.deliver(renewed(delivery, self._secret, self._now()))
            except NotThere as error:
                if not tries:
                    waiting = self._spool.count_waiting(self._target.name)
                    self._say(f"{self._target.name} is not there ({error}); kept until it is: {waiting}")
                if self._closing.wait(min(0.5 * 2.0 ** min(tries, 10), LONGEST_ABSENCE)):
                    raise
            else:
                if tries:
                    self._say(f"{self._target.name} is there again")
                return trouble
        raise AssertionError("count() never ends")


def renewed(delivery: Delivery, secret: str, now: float) -> Delivery:
    """Signed anew if it was genuine and has become too old: the target would rightly not believe it any more."""
    timestamp, signature = delivery.header(TIMESTAMP_HEADER), delivery.header(SIGNATURE_HEADER)
    verdict = verify(delivery.body, timestamp, signature, secret=secret, now=now, tolerance=OLD)
    return delivery.signed(secret, now) if verdict is Verdict.STALE else delivery
