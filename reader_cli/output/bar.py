"""The live bar on stderr. Rich is imported here and nowhere on the way to a quick command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from reader_cli import events
from reader_cli.env import Env
from reader_cli.output.text import count, duration, harmless
from reader_cli.rate import Rate
from reader_cli.signals import handling

ALL_JOBS = ""  # the key of the bar that adds up several jobs
NARROW = 100  # columns; below this names are cut and words left out
NARROW_NAME = 14


@dataclass(frozen=True, slots=True)
class Counts:
    """The figures of one job, or of all of them."""

    status: str = "queued"
    completed: int = 0
    total: int = 0
    failed: int = 0
    credits_used: int = 0


class Bar:
    """One bar a job, as many as the screen holds, and above several a bar for all."""

    def __init__(self, env: Env, names: Mapping[str, str]) -> None:
        console = Console(file=env.stderr, force_terminal=True, highlight=False, markup=False, emoji=False)
        # Rich would steal print() from a piped stdout: data goes past it, so nothing is redirected.
        self._progress = Progress(
            NameColumn(console, table_column=Column(max_width=32, no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
            FiguresColumn(console, table_column=Column(no_wrap=True)),
            console=console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._clock = env.clock
        self._jobs = dict.fromkeys(names, Counts())
        self._before: dict[str, int] = {}  # pages that were read when a job was first heard of: they tell no speed
        self._tasks: dict[str, TaskID] = {}
        if len(names) > 1:
            self._add(ALL_JOBS, count(len(names), "job"))
        for job_id in list(names)[: max(1, console.height - 4)]:
            self._add(job_id, names[job_id])
        self._signals = ExitStack()
        if threading.current_thread() is threading.main_thread():
            self._signals.enter_context(handling(signal.SIGTSTP, self._suspend))
            self._signals.enter_context(handling(signal.SIGCONT, self._resume))
        self._progress.start()

    def show(self, event: events.Event) -> None:
        if isinstance(event, events.Notice):
            self._show_notice(event)
        elif isinstance(event, events.Progress | events.Done):
            self._before.setdefault(event.job_id, event.completed)
            counts = self._jobs[event.job_id] = _counts(event)
            self._update(event.job_id, counts, counts.completed)
            every = _sum(self._jobs.values())
            self._update(ALL_JOBS, every, every.completed - sum(self._before.values()))

    def close(self) -> None:
        self._signals.close()
        self._progress.stop()

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the cursor is given back first, or the shell would be left without one."""
        self._progress.stop()
        with handling(signal.SIGTSTP, signal.SIG_DFL):
            os.kill(os.getpid(), signal.SIGTSTP)  # returns when it is continued

    def _resume(self, number: int, frame: FrameType | None) -> None:
        """`fg` goes on drawing; `bg` leaves the terminal to whom it belongs now."""
        if os.tcgetpgrp(self._progress.console.file.fileno()) == os.getpgrp():
            self._progress.start()

    def _add(self, key: str, name: str) -> None:
        self._tasks[key] = self._progress.add_task(
            harmless(name, 60), total=None, counts=Counts(), rate=Rate(self._clock), via=""
        )

    def _update(self, key: str, counts: Counts, read: int) -> None:
        if key in self._tasks:
            task = self._tasks[key]
            self._rate(task).add(read)
            total = counts.total or None
            self._progress.update(task, total=total, completed=counts.completed, counts=counts)

    def _rate(self, task: TaskID) -> Rate:
        rate: Rate = next(known for known in self._progress.tasks if known.id == task).fields["rate"]
        return rate

    def _show_notice(self, event: events.Notice) -> None:
        if event.code != "via":
            self._progress.console.print(Text(harmless(event.message)), soft_wrap=True)
            return
        told = [event.job_id] if event.job_id else list(self._tasks)
        for key in {*told, ALL_JOBS} & self._tasks.keys():
            self._progress.update(self._tasks[key], via=event.message)


class NameColumn(ProgressColumn):
    def __init__(self, console: Console, table_column: Column) -> None:
        super().__init__(table_column)
        self._console = console

    def render(self, task: Task) -> Text:
        name = Text(task.description)
        name.truncate(32 if self._console.width >= NARROW else NARROW_NAME, overflow="ellipsis")
        return name


class FiguresColumn(ProgressColumn):
    """`45/100  2 failed  3.1/s  0:12  ETA 0:18  43 credits  sse`"""

    def __init__(self, console: Console, table_column: Column) -> None:
        super().__init__(table_column)
        self._console = console

    @property
    def _wide(self) -> bool:
        return self._console.width >= NARROW

    def render(self, task: Task) -> Text:
        counts: Counts = task.fields["counts"]
        figures = Text(f"{counts.completed:,}/{counts.total:,}" if counts.total else counts.status)
        if counts.failed:
            figures.append(f"  {counts.failed:,} failed", style="red")
        for part in self._parts(task, counts):
            figures.append(f"  {part}", style="dim")
        return figures

    def _parts(self, task: Task, counts: Counts) -> Iterable[str]:
        rate = task.fields["rate"].per_second()
        if rate and not task.finished:
            yield f"{rate:,.1f}/s"
        yield duration(task.elapsed or 0)
        if rate and not task.finished:
            left = duration((counts.total - counts.completed) / rate)
            yield f"ETA {left}" if self._wide else f"-{left}"
        if counts.credits_used:
            yield count(counts.credits_used, "credit") if self._wide else f"{counts.credits_used:,} cr"
        if task.fields["via"]:
            yield task.fields["via"]


def _counts(event: events.Progress | events.Done) -> Counts:
    return Counts(event.status, event.completed, event.total, event.failed or 0, event.credits_used or 0)


def _sum(parts: Iterable[Counts]) -> Counts:
    known = list(parts)
    return Counts(
        "processing",
        sum(part.completed for part in known),
        sum(part.total for part in known),
        sum(part.failed for part in known),
        sum(part.credits_used for part in known),
    )
