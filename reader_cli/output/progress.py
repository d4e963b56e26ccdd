"""Shows a watch's events: a live bar, plain lines, JSON lines, or nothing. One interface, four renderers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from reader_cli.env import Env
from reader_cli.events import Done, Event, Notice, PageDone, PageFailed, Progress
from reader_cli.output.text import harmless

PLAIN_SECONDS = 3.0  # between two lines about one job


class Renderer(Protocol):
    def show(self, event: Event) -> None: ...

    def close(self) -> None:
        """Leaves the terminal as it was found; called once, whatever happened."""


def build_renderer(env: Env, mode: str, names: Mapping[str, str]) -> Renderer:
    """`mode` is one of `waiting.MODES`; `names` maps job ids to what a bar or line calls them."""
    if mode == "auto":
        mode = "none" if env.quiet else "bar" if _is_live(env) else "plain"
    if mode == "bar":
        from reader_cli.output.bar import Bar

        return Bar(env, names)
    if mode == "plain":
        return Plain(env, names)
    return JsonEvents(lambda line: _write_text(env, line)) if mode == "json" else Silent()


def _is_live(env: Env) -> bool:
    return env.stderr_tty and env.environ.get("TERM") != "dumb" and not env.environ.get("CI")


def _write_text(env: Env, line: bytes) -> None:
    env.stderr.write(line.decode())
    env.stderr.flush()


class Silent:
    def show(self, event: Event) -> None:
        pass

    def close(self) -> None:
        pass


class Plain:
    """A line at each change, at most one every few seconds a job: for logs."""

    def __init__(self, env: Env, names: Mapping[str, str]) -> None:
        self._env = env
        self._names = names
        self._said: dict[str, tuple[float, str]] = {}

    def show(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._say_progress(event)
        elif isinstance(event, Notice):
            self._env.say(f"{self._name(event.job_id)}{_told(event)}")

    def close(self) -> None:
        pass

    def _say_progress(self, event: Progress) -> None:
        when, status = self._said.get(event.job_id, (float("-inf"), ""))
        now = self._env.clock()
        if event.status == status and now - when < PLAIN_SECONDS:
            return
        self._said[event.job_id] = (now, event.status)
        failed = f", {event.failed:,} failed" if event.failed else ""
        counts = f"{event.completed:,}/{event.total:,}{failed}"
        self._env.say(f"{self._name(event.job_id)}{harmless(event.status)} {counts}")

    def _name(self, job_id: str) -> str:
        return f"{harmless(self._names.get(job_id, job_id))} " if job_id else ""


def _told(event: Notice) -> str:
    return f"watching by {event.message}" if event.code == "via" else harmless(event.message)


class JsonEvents:
    """The events as JSON lines, without the pages' bodies (cli: watch --json)."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def show(self, event: Event) -> None:
        self._write(json.dumps(build_event_object(event)).encode() + b"\n")

    def close(self) -> None:
        pass


def build_event_object(event: Event) -> dict[str, Any]:
    """`{"event", "jobId", …}` in the wire's spelling; fields that are not known are left out."""
    match event:
        case Progress():
            fields: dict[str, Any] = {"event": "progress", "jobId": event.job_id, **_counts(event)}
        case PageDone():
            fields = {
                "event": "page",
                "jobId": event.job_id,
                "url": event.url,
                "finalUrl": event.final_url,
                "statusCode": event.status_code,
                "credits": event.credits,
            }
        case PageFailed():
            fields = {"event": "error", "jobId": event.job_id, "url": event.url, "error": event.error}
        case Notice():
            fields = {"event": "notice", "jobId": event.job_id, "code": event.code, "message": event.message}
        case Done():
            fields = {"event": "done", "jobId": event.job_id, **_counts(event), "error": event.error}
    return {key: value for key, value in fields.items() if value is not None}


def _counts(event: Progress | Done) -> dict[str, Any]:
    return {
        "status": event.status,
        "completed": event.completed,
        "total": event.total,
        "failed": event.failed,
        "creditsUsed": event.credits_used,
    }
