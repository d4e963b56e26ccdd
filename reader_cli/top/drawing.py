"""Pictures of a view, as large as the screen. Whatever a server sent is made harmless here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reader_cli.models import Status
from reader_cli.output.text import count, duration, harmless, moment
from reader_cli.top.board import Row
from reader_cli.top.view import Detail, View

WIDE = 120  # columns, from which on there is room for the rarer figures
AROUND_LIST = 6  # lines above and below the list of jobs
AROUND_FAILURES = 11  # and around the failures of one
STYLES = {
    Status.PROCESSING: "cyan",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "yellow",
}
LIST_KEYS = "↑↓ select  enter open  s sort ({})  S reverse  c cancel  r retry  q quit"
DETAIL_KEYS = "↑↓ scroll  enter look again  c cancel  r retry  q back"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the first two lines tell. `credits` and `queue` are the answers of the account's endpoints, {} before them.
    `link` says how the workspace is followed."""

    server: str
    link: str
    credits: Mapping[str, Any]
    queue: Mapping[str, Any]


def draw(view: View, around: Surroundings, width: int, height: int) -> RenderableType:
    """`width` × `height` characters. Sets the view's `height`."""
    detail = view.detail
    view.height = max(height - (AROUND_FAILURES if detail else AROUND_LIST), 1)
    lines = [*_head(view, around, width), *(_detail(view, detail) if detail else _list(view, width))]
    return Group(*lines, _foot(view))


def _head(view: View, around: Surroundings, width: int) -> Iterable[RenderableType]:
    rows = list(view.board.rows.values())
    speed = sum(row.speed for row in rows)
    active = f"{len(view.board.active):,} of {count(len(rows), 'job')} active"
    yield _between(Text(f"reader top  {harmless(around.server)}", style="bold"), Text(harmless(around.link)), width)
    yield _between(Text(f"{active}  {speed:,.1f} pages/s"), Text(_account(around), style="dim"), width)
    yield Text()


def _account(around: Surroundings) -> str:
    credits, queue = around.credits, around.queue
    told = []
    if "balance" in credits:
        told.append(f"{_figure(credits['balance'])} of {_figure(credits.get('limit'))} credits")
    if "activeJobs" in queue:
        waiting = f", {_figure(queue.get('waitingJobs'))} waiting"
        told.append(f"queue {_figure(queue['activeJobs'])}/{_figure(queue.get('maxConcurrency'))}{waiting}")
    return "  ".join(told)


def _figure(value: object) -> str:
    """Large numbers short: a screen has 80 columns."""
    if not isinstance(value, int) or isinstance(value, bool):
        return harmless(value, 10)
    return f"{value / 1e6:,.0f}M" if value >= 10_000_000 else f"{value:,}"


def _between(left: Text, right: Text, width: int) -> RenderableType:
    """One line with `right` at its end; where both have no room, the left one is cut."""
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    line.add_column(no_wrap=True, overflow="ellipsis", justify="right", max_width=max(width * 2 // 3, 1))
    line.add_row(left, right)
    return line


def _list(view: View, width: int) -> Iterable[RenderableType]:
    columns = [column for column in COLUMNS if width >= column.from_width]
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        mark = ("▴" if view.backwards else "▾") if column.title == view.sort else ""
        table.add_column(Text(column.title + mark), no_wrap=True, overflow="ellipsis", **column.layout)
    rows = view.shown()
    selected = view.selected or (rows[0].id if rows else "")
    for row in rows:
        cells = [column.cell(row) for column in columns]
        table.add_row(*cells, style="reverse" if row.id == selected else "")
    yield table
    yield from (Text() for _ in range(view.height - len(rows)))


def _detail(view: View, detail: Detail) -> Iterable[RenderableType]:
    row = view.board.rows.get(detail.job_id)
    facts = list(_facts(row)) if row else [Text(harmless(detail.job_id))]
    shown = detail.failures[detail.scroll : detail.scroll + view.height]
    yield from facts
    yield from (Text() for _ in range(5 - len(facts)))
    yield _line(_failures_title(detail, row), "bold")
    yield from (_line(f"{harmless(error, 100)}  {harmless(url)}") for url, error in shown)
    yield from (Text() for _ in range(view.height - len(shown)))


def _facts(row: Row) -> Iterable[Text]:
    yield _line(f"{harmless(row.id)}  {harmless(row.name)}", "bold")
    failed = f", {row.failed:,} failed" if row.failed else ""
    counts = f"{row.completed:,} of {count(row.total, 'page')}{failed}, {count(row.credits_used, 'credit')}"
    yield _line(f"{harmless(row.status)}: {counts}", STYLES.get(row.status, ""))  # type: ignore[call-overload]
    times = [f"{word} {harmless(row.facts[key])}" for word, key in _TIMES if row.facts.get(key)]
    yield _line(f"{harmless(row.facts.get('mode', 'job'))}; {', '.join(times)}", "dim")
    if row.facts.get("error"):
        yield _line(f"error: {harmless(row.facts['error'])}", "red")


_TIMES = (("created", "createdAt"), ("started", "startedAt"), ("ended", "completedAt"))


def _failures_title(detail: Detail, row: Row | None) -> str:
    found, known = len(detail.failures), (row.failed if row else None) or 0
    if not detail.complete:
        return f"{count(found, 'failed page')} so far …" if found else "Looking for pages that failed …"
    more = f"; {known - found:,} more not shown" if known > found else ""
    return count(found, "failed page") + more if found or more else "No page failed"


def _foot(view: View) -> RenderableType:
    told = DETAIL_KEYS if view.detail else LIST_KEYS.format(view.sort.lower())
    keys = Text(told, style="dim", no_wrap=True, overflow="ellipsis")
    if view.question:
        asked = f"{view.question.verb.value.capitalize()} {harmless(view.question.job_id)}? y/n"
        return Group(_line(asked, "bold yellow"), keys)
    return Group(_line(harmless(view.told)), keys)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list, on screens of `from_width` columns and more."""

    title: str
    cell: Callable[[Row], RenderableType]
    layout: Mapping[str, Any]
    from_width: int = 0


def _text(told: Callable[[Row], object]) -> Callable[[Row], Text]:
    return lambda row: Text(harmless(told(row), 200))


def _bar(row: Row) -> RenderableType:
    return ProgressBar(total=max(row.total, 1), completed=row.completed if row.total else 0)


def _state(row: Row) -> Text:
    return Text(harmless(row.status, 20), style=STYLES.get(row.status, ""))  # type: ignore[call-overload]


_RIGHT = {"justify": "right"}
COLUMNS = (
    Column("JOB", _text(lambda row: row.id), {"width": 20}),
    Column("RUN", _text(lambda row: row.name), {"width": 16}, WIDE),
    Column("STATE", _state, {"width": 10}),
    Column("PROGRESS", _bar, {"ratio": 2, "min_width": 8}),
    Column("DONE", _text(lambda row: f"{row.completed:,}/{row.total:,}"), {**_RIGHT, "min_width": 9}),
    Column("FAILED", _text(lambda row: f"{row.failed:,}" if row.failed else ""), {**_RIGHT, "width": 7}),
    Column("PAGES/S", _text(lambda row: f"{row.speed:,.1f}" if row.speed else ""), {**_RIGHT, "width": 8}),
    Column("LEFT", _text(lambda row: "" if row.left is None else duration(row.left)), {**_RIGHT, "width": 8}, WIDE),
    Column("CREDITS", _text(lambda row: f"{row.credits_used:,}" if row.credits_used else ""), {**_RIGHT, "width": 8}),
    Column("SUBMITTED", _text(lambda row: moment(row.submitted)), {"width": 20}, WIDE),
    Column("FIRST URL", _text(lambda row: row.first_url), {"ratio": 3}, WIDE),
)
