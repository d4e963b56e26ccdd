"""Follows jobs to their end and shows them; `watch`, `submit`, `retry` and `results --follow` share this."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, cast

from reader_cli.env import Env
from reader_cli.errors import ApiError, ExitCode, ReaderError
from reader_cli.events import Event, PageFailed
from reader_cli.models import ErrorCode
from reader_cli.output.data import without_results, write_object
from reader_cli.output.progress import JsonEvents, Renderer, build_renderer
from reader_cli.output.report import quote
from reader_cli.output.summary import say_summary
from reader_cli.output.text import harmless
from reader_cli.tally import Tally
from reader_cli.waiting import WEBHOOK, FollowOptions, Target

if TYPE_CHECKING:
    from reader_cli.client.watch import Via, WatchOptions
    from reader_cli.output.folder import Folder
    from reader_cli.output.writers import Pages
    from reader_cli.session import Session


class Interrupted(ReaderError):
    """Ctrl-C or SIGTERM: the job goes on, and the last words say how to come back to it (cli: law 4)."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"

    @classmethod
    def by(cls, leaving: BaseException, message: str, hint: str) -> Interrupted:
        """`leaving` is the KeyboardInterrupt, or the SystemExit that a signal was turned into."""
        error = cls(message, hint=hint)
        if isinstance(leaving, SystemExit):
            error.exit_code = ExitCode.TERMINATED
        return error


def follow(session: Session, target: Target, following: FollowOptions, *, json: bool = False) -> Tally:
    """Watches `target` to its end. With `json` the events go to stdout as JSON lines."""
    write = [JsonEvents(session.env.stdout.write).show] if json else []
    with closing(_watch(session, target, following)) as events:  # Ctrl-C may come while it is not running
        return _show(session, target, following, events, write, session.env.stdout.flush)


def follow_results(
    session: Session,
    target: Target,
    following: FollowOptions,
    writer: Pages | Folder,
    choose: Callable[[str, bytes], bytes | None] = lambda job_id, line: line,
) -> Tally:
    """Like `follow`, and hands each page to `writer`, once, as it finishes. `choose` gets its job's id and its JSON
    line, and says what is written of it, if anything."""
    from reader_cli.client.watch import follow_pages
    from reader_cli.output.jsonl import read_head

    following.check_brings_pages()

    def events() -> Iterable[Event]:
        for job_id in target.job_ids:
            for item in follow_pages(session.client, job_id, watching):
                if not isinstance(item, bytes):
                    yield item
                    continue
                if (line := choose(job_id, item)) is not None:
                    writer.add(line)
                head = read_head(item)
                if head.error is not None:
                    yield PageFailed(job_id, head.url, head.error)

    watching = watch_options(session.env, following, writer.flush)
    return _show(session, target, following, events(), [], writer.flush)


def _watch(session: Session, target: Target, following: FollowOptions) -> Generator[Event, None, None]:
    client, watching = session.client, watch_options(session.env, following, session.env.stdout.flush)
    if following.via == WEBHOOK:
        from reader_cli.webhooks.watching import watch_by_webhook

        yield from watch_by_webhook(
            client, target.job_ids, watching, port=following.port, public_url=following.public_url, before=target.before
        )
        return
    from reader_cli.client.watch import watch_jobs

    yield from watch_jobs(client, target.job_ids, watching, before=target.before)


def watch_options(env: Env, following: FollowOptions, flush: Callable[[], object]) -> WatchOptions:
    from reader_cli.client.watch import WatchOptions

    deadline = None if following.timeout is None else env.clock() + following.timeout
    return WatchOptions(
        via=cast("Via", "auto" if following.via == WEBHOOK else following.via),
        interval=following.interval,
        give_up_after=following.give_up_after,
        deadline=deadline,
        before_waiting=flush,
    )


def _show(
    session: Session,
    target: Target,
    following: FollowOptions,
    events: Iterable[Event],
    listeners: Sequence[Callable[[Event], None]],
    flush: Callable[[], object],
) -> Tally:
    """Consumes `events`, calls `flush` and says the summary. Raises Interrupted, TimedOut and what the client
    raises."""
    env, tally = session.env, Tally()
    started = env.clock()
    try:
        renderer = build_renderer(env, following.progress, dict(zip(target.job_ids, target.job_ids, strict=True)))
        _consume(events, [*listeners, tally.add, renderer.show], renderer, flush)
    except (KeyboardInterrupt, SystemExit) as leaving:
        raise _detach(session, target, following, leaving) from None
    except ReaderError as error:
        error.hint = error.hint or _way_back(target)
        raise
    session.remember_ends(tally.done.values())
    say_summary(env, tally, target.refs, env.clock() - started)
    return tally


def write_final_jobs(session: Session, job_ids: Iterable[str]) -> None:
    """The jobs as they ended, without their pages, one JSON object a line (cli: scripting)."""
    for job_id in job_ids:
        write_object(session.env, without_results(session.client.get_job(job_id).job))


def _consume(
    events: Iterable[Event],
    listeners: Sequence[Callable[[Event], None]],
    renderer: Renderer,
    flush: Callable[[], object],
) -> None:
    try:
        for event in events:
            for listen in listeners:
                listen(event)
    finally:
        renderer.close()
        flush()


def _way_back(target: Target) -> str:
    words = " ".join(quote(harmless(ref)) for ref in target.refs)
    return f"reader watch {words}\nreader cancel {words}"


def _detach(session: Session, target: Target, following: FollowOptions, leaving: BaseException) -> Interrupted:
    if not following.cancel_on_interrupt or isinstance(leaving, SystemExit):
        return Interrupted.by(leaving, "detached; the job goes on", _way_back(target))
    for job_id in target.job_ids:
        _cancel(session, job_id)
    words = " ".join(quote(harmless(ref)) for ref in target.refs)
    stopped = Interrupted("cancelled; finished pages stay readable", hint=f"reader results {words}")
    stopped.exit_code = ExitCode.JOB_CANCELLED
    return stopped


def _cancel(session: Session, job_id: str) -> None:
    try:
        session.client.cancel(job_id)
    except ApiError as error:
        if error.code != ErrorCode.CONFLICT:  # it had ended by itself
            raise
