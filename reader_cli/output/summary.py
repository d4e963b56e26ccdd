"""The last words of a watch on stderr: counts, failures by cause, and the two commands that come next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reader_cli.env import Env
from reader_cli.events import Done
from reader_cli.models import Status
from reader_cli.output.report import quote
from reader_cli.output.text import count, duration, harmless
from reader_cli.tally import Cause, Tally

SHOWN_CAUSES = 8


def say_summary(env: Env, tally: Tally, refs: Sequence[str], seconds: float) -> None:
    """`refs` are the words that name these jobs in the commands suggested: a run's name, or the job ids."""
    for line in build_summary(tally, refs, seconds):
        env.say(line)


def build_summary(tally: Tally, refs: Sequence[str], seconds: float) -> Iterator[str]:
    took = f", in {duration(seconds)}"
    for done in tally.done.values():
        yield f"{harmless(done.job_id)} {_outcome(done)}" + (took if len(tally.done) == 1 else "")
    if len(tally.done) > 1:
        yield f"{count(len(tally.done), 'job')}: {_counts(tally.completed, tally.failed, tally.credits_used)}{took}"
    yield from _causes(tally)
    words = {ref: quote(harmless(ref)) for ref in refs}
    for ref in refs:
        if tally.done[ref].failed if ref in tally.done else tally.failed:  # `retry` takes one
            yield f"retry the failed:  reader retry {words[ref]} --wait"
    yield f"read the results:  reader results {' '.join(words.values())}"


def _outcome(done: Done) -> str:
    counts = _counts(done.completed, done.failed, done.credits_used)
    if done.status == Status.FAILED:
        return f"failed: {harmless(done.error or 'the server gave no reason')}; {counts}"
    if done.status == Status.CANCELLED:
        return f"was cancelled, of {count(done.total, 'page')}: {counts}"
    return f"completed: {counts}"


def _counts(completed: int, failed: int, credits_used: int) -> str:
    return f"{count(completed, 'page')}, {failed:,} failed, {count(credits_used, 'credit')}"


def _causes(tally: Tally) -> Iterator[str]:
    causes = tally.failed_causes()
    for cause in causes[:SHOWN_CAUSES]:
        yield f"  {cause.count:,} × {harmless(cause.text, 100)}{_hosts(cause)}"
        yield from (f"      {harmless(url)}" for url in cause.urls)
        if cause.count > len(cause.urls):
            yield f"      and {cause.count - len(cause.urls):,} more"
    if len(causes) > SHOWN_CAUSES:
        yield f"  and {count(len(causes) - SHOWN_CAUSES, 'other cause')}"


def _hosts(cause: Cause) -> str:
    if len(cause.hosts) < 2:
        return ""
    return "  (" + ", ".join(f"{harmless(host)} {n:,}" for host, n in cause.hosts.most_common(3)) + ")"
