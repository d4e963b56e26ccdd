"""Submitting a run: its parts posted one after the other, each under a key that the history knows beforehand.

The rule behind every line (cli: law 3): a key is repeated until its answer is known, and given up for a fresh one only
after a refusal that cannot hide an acceptance. So a process may die anywhere, and posting again what the history
calls missing neither loses a part nor starts a second job for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reader_cli.client.retries import is_definite, is_transient, pause_after
from reader_cli.errors import ApiError, MaybeAccepted, ReaderError, Unreachable, UsageError
from reader_cli.events import Notice
from reader_cli.history import History, Part, PartState, Run
from reader_cli.inputs.records import Item
from reader_cli.models import IDEMPOTENCY_HOURS, MAX_URLS, ErrorCode, JobSummary, Mode
from reader_cli.references import check_name
from reader_cli.slots import Slots

if TYPE_CHECKING:
    from reader_cli.client.api import Client

# An hour less than the server promises: clocks differ, and a POST takes its time.
REPEATABLE_SECONDS = (IDEMPOTENCY_HOURS - 1) * 3600
_KEY = re.compile(r"[!-~]{1,200}")  # it travels in a header
_TRIES = 6  # in a row, of one part, after refusals that pass by themselves


@dataclass(frozen=True, slots=True)
class RunPlan:
    """`options`: the request without its URLs. `key`: the user's own idempotency key."""

    server: str
    options: dict[str, Any] = field(repr=False)  # they may hold a secret
    items: Sequence[Item] = field(repr=False)
    mode: Mode = Mode.BATCH
    name: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_name(self.name)
        if self.key is not None and not _KEY.fullmatch(self.key):
            raise UsageError(f"{self.key!a} is no idempotency key", hint="Use 1 to 200 printable ASCII characters.")
        if self.mode == Mode.CRAWL and len(self.items) != 1:
            raise UsageError(f"a crawl starts from one URL, not from {len(self.items)}")

    @property
    def parts(self) -> list[Sequence[Item]]:
        return [self.items[start : start + MAX_URLS] for start in range(0, len(self.items), MAX_URLS)]

    @property
    def secret(self) -> str | None:
        """The webhook's; the history keeps the options without it."""
        webhook = self.options.get("webhook")
        return webhook.get("secret") if isinstance(webhook, dict) else None

    def bodies(self) -> Iterator[dict[str, Any]]:
        """What would be posted, in order."""
        return (build_body(self.options, self.mode, [item.url for item in part]) for part in self.parts)


def build_body(options: dict[str, Any], mode: str, urls: Sequence[str]) -> dict[str, Any]:
    return {"url": urls[0], **options} if mode == Mode.CRAWL else {"urls": list(urls), **options}


def record_run(history: History, plan: RunPlan, *, now: float) -> Run:
    """Writes the whole run down, as `submit_run` and `--resume` will find it. Nothing is sent.

    Raises UsageError where the history cannot keep it, for a process that then dies would leave jobs that the next
    one starts again; unless the user brings a key: the same command then repeats the same keys.
    """
    if not history.lasting and plan.key is None:
        raise UsageError(
            f"{history.warning}; nothing was sent, for without it a broken submission could not be repeated safely",
            hint="Mend it, point XDG_STATE_HOME elsewhere, or give a key of your own with --idempotency-key.",
        )
    return history.new_run(plan.server, plan.name, plan.options, plan.parts, mode=plan.mode, key=plan.key, now=now)


def submit_run(
    client: Client,
    history: History,
    run: Run,
    *,
    secret: str | None,
    notify: Callable[[Notice], None],
    now: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[JobSummary]:
    """Posts what is missing of `run`, and yields all of its jobs in order, those of an earlier try included.

    `notify` hears of waiting (`waiting`) and of an answer that could not be written down (`unrecorded`); a notice's
    `job_id` is the run's id. Raises what `client.submit` raises, MaybeAccepted for a part whose answer is unknown for
    more than 23 hours (after posting all the others), NothingToDo while another process submits this run, and
    UsageError when the webhook's secret is missing.
    """
    with history.claim(run.id):
        run = history.get_run(run.id)  # another process may have gone on with it
        if run.had_secret and run.missing and secret is None:
            raise UsageError(
                f"run {run.id} was submitted with a webhook secret, which is never stored",
                hint="Set READER_WEBHOOK_SECRET or give --webhook-secret-file.",
            )
        yield from _Submission(client, history, run, secret, notify, now, sleep).jobs()


class _Submission:
    def __init__(
        self,
        client: Client,
        history: History,
        run: Run,
        secret: str | None,
        notify: Callable[[Notice], None],
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._client, self._history, self._run, self._secret = client, history, run, secret
        self._notify, self._now, self._sleep = notify, now, sleep
        self._slots = Slots(client, history, run, notify, sleep)

    def jobs(self) -> Iterator[JobSummary]:
        lost: list[Part] = []
        for part in self._run.parts:
            if part.state == PartState.ACCEPTED:
                yield _summary(part)
            elif self._is_lost(part):
                lost.append(part)
            else:
                yield self._submit(part)
        if lost:
            raise _lost(lost)

    def _submit(self, part: Part) -> JobSummary:
        """Posts one part until it is accepted, or refused for more than the moment."""
        tried = 0
        while True:
            try:
                return self._post(part)
            except (ApiError, MaybeAccepted, Unreachable) as error:
                part = self._settled(part, error)
                tried = self._wait_or_raise(part, error, tried)

    def _post(self, part: Part) -> JobSummary:
        urls = [url for url, _ in self._history.part_inputs(part)]
        body = build_body(self._with_secret(), self._run.mode, urls)
        self._history.mark_sent(part, self._now())
        job = self._client.submit(body, idempotency_key=part.key)
        self._slots.take(job["id"])
        try:
            self._history.mark_accepted(part, job)
        except UsageError as error:  # the job runs, and its id must reach the user; the next part will stop
            self._notify(Notice(self._run.id, "unrecorded", error.message))
        return job

    def _settled(self, part: Part, error: ReaderError) -> Part:
        """The part after `error`: put back where it surely was not accepted, and then under a fresh key, for a server
        may replay a refusal too. One whose answer was lost before keeps its key whatever the server says now."""
        if part.state == PartState.PLANNED and is_definite(error):
            self._history.mark_planned(part, _next_key(part) if isinstance(error, ApiError) else part.key)
        return self._history.get_part(part)

    def _wait_or_raise(self, part: Part, error: ReaderError, tried: int) -> int:
        """Waits where the refusal will pass; returns how often that was done in a row."""
        if self._is_lost(part):
            raise _lost([part]) from error
        refusal = error.__cause__ if isinstance(error, MaybeAccepted) else error
        if isinstance(refusal, ApiError):
            if refusal.code == ErrorCode.CONCURRENCY_LIMITED:
                self._slots.wait(refusal)
                return 0
            # MaybeAccepted for another reason than 429: the client has been trying for long enough
            if tried < _TRIES and is_transient(refusal) and (refusal.status == 429 or error is refusal):
                self._pause(refusal, tried)
                return tried + 1
        self._tell_way_back(part, error)
        raise error

    def _pause(self, refusal: ApiError, tried: int) -> None:
        seconds = pause_after(refusal, tried)
        self._notify(Notice(self._run.id, "waiting", f"{refusal.message}: trying again in {seconds:.0f} s"))
        self._sleep(seconds)

    def _with_secret(self) -> dict[str, Any]:
        if not self._run.had_secret:
            return self._run.body
        return {**self._run.body, "webhook": {**self._run.body["webhook"], "secret": self._secret}}

    def _is_lost(self, part: Part) -> bool:
        return part.sent is not None and self._now() - part.sent > REPEATABLE_SECONDS

    def _tell_way_back(self, part: Part, error: ReaderError) -> None:
        """Where the same command again would do too little, or the same job twice."""
        way_back = f"reader submit --resume {self._run.id}"
        if part.state == PartState.SENT:
            hours = REPEATABLE_SECONDS // 3600
            error.hint = f"Safe for {hours} hours, for it repeats the same idempotency key: {way_back}"
        elif len(self._run.parts) > 1:
            error.hint = f"{error.hint} Then: {way_back}" if error.hint else way_back


def _lost(parts: Sequence[Part]) -> MaybeAccepted:
    numbers = ", ".join(str(part.number) for part in parts)
    return MaybeAccepted(
        f"part {numbers} of run {parts[0].run_id} was sent more than {REPEATABLE_SECONDS // 3600} hours ago and never "
        f"answered: it may or may not have been accepted, and can no longer be repeated safely",
        hint=f"Look for {parts[0].first_url} in 'reader usage'; if it was never read, submit it again.",
    )


def _next_key(part: Part) -> str:
    """`run-3` → `run-3.2` → `run-3.3`. A user's own key stays: it promises the same job to a repeated command."""
    if not part.key.startswith(part.run_id):
        return part.key
    first, _, tried = part.key.partition(".")
    return f"{first}.{int(tried or 1) + 1}"


def _summary(part: Part) -> JobSummary:
    summary = JobSummary(
        id=part.job_id or "",
        status=part.status or "",
        mode=part.mode,
        total=part.total,
        completed=part.completed,
        creditsUsed=part.credits_used,
    )
    if part.created_at:
        summary["createdAt"] = part.created_at
    return summary
