"""What of the board is shown, and what a key does to it. Pure: keys in, actions out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from reader_cli.models import ACTIVE, Status
from reader_cli.top.board import Board, Row

FAILURES = 200  # that are shown of one job

_STATES = [Status.PROCESSING, Status.QUEUED, Status.FAILED, Status.CANCELLED, Status.COMPLETED]

# The orders of the list by the title of their column, each with what is larger for the rows that come first.
SORTS: dict[str, Callable[[Row], float]] = {
    "SUBMITTED": lambda row: row.submitted,
    "STATE": lambda row: -_STATES.index(Status(row.status)) if row.status in _STATES else -len(_STATES),
    "DONE": lambda row: row.share,
    "FAILED": lambda row: row.failed or 0,
    "PAGES/S": lambda row: row.speed,
    "CREDITS": lambda row: row.credits_used,
}


class Verb(Enum):
    """What the user wants done outside of the view."""

    OPEN = "open"
    CLOSE = "close"
    CANCEL = "cancel"
    RETRY = "retry"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Action:
    verb: Verb
    job_id: str = ""


@dataclass(slots=True)
class Detail:
    """An opened job. `failures` are (url, error); `complete` when all that there are, or all that are shown, came."""

    job_id: str
    failures: list[tuple[str, str]] = field(default_factory=list)
    complete: bool = False
    scroll: int = 0


@dataclass(slots=True)
class View:
    """`height` is how many lines the list or the failures have; `question` waits for y; `told` is the latest news."""

    board: Board
    height: int = 10
    sort: str = "SUBMITTED"
    backwards: bool = False
    selected: str = ""
    first: int = 0  # row of the list that is on its first line
    detail: Detail | None = None
    question: Action | None = None
    told: str = ""

    def rows(self) -> list[Row]:
        """All jobs in the order that is chosen; equal ones newest first."""
        newest = sorted(self.board.rows.values(), key=lambda row: row.submitted, reverse=True)
        return sorted(newest, key=SORTS[self.sort], reverse=not self.backwards)

    def shown(self) -> list[Row]:
        """The rows on the screen. The selected job is among them, wherever it has moved."""
        rows = self.rows()
        index = self._index(rows)
        self.first = max(min(self.first, index, len(rows) - self.height), index - self.height + 1, 0)
        return rows[self.first : self.first + self.height]

    def press(self, key: str) -> Action | None:
        """Keys are named as `keys.decode` names them."""
        self.told = ""
        if self.question:
            return self._answer(key)
        if self.detail:
            return self._press_in_detail(self.detail, key)
        return self._press_in_list(key)

    def _answer(self, key: str) -> Action | None:
        action, self.question = self.question, None
        return action if key in ("y", "Y") else None

    def _press_in_list(self, key: str) -> Action | None:
        rows = self.rows()
        if key in ("q", "Q"):
            return Action(Verb.QUIT)
        if key in ("s", "S"):
            self._sort(key)
        elif rows and key in ("enter", "o"):
            return self._open(rows[self._index(rows)].id)
        elif rows and (index := _move(key, self._index(rows), self.height, len(rows))) is not None:
            self.selected = rows[index].id
        elif rows:
            self._ask(key, rows[self._index(rows)])
        return None

    def _press_in_detail(self, detail: Detail, key: str) -> Action | None:
        if key in ("q", "Q", "escape", "left", "backspace"):
            self.detail = None
            return Action(Verb.CLOSE, detail.job_id)
        if key in ("enter", "o"):
            return self._open(detail.job_id)
        top = max(len(detail.failures) - self.height + 1, 1)
        if (scroll := _move(key, detail.scroll, self.height, top)) is not None:
            detail.scroll = scroll
        elif row := self.board.rows.get(detail.job_id):
            self._ask(key, row)
        return None

    def _open(self, job_id: str) -> Action:
        """Opens a job, or looks afresh at the one that is open."""
        self.detail = Detail(job_id)
        return Action(Verb.OPEN, job_id)

    def _sort(self, key: str) -> None:
        names = list(SORTS)
        if key == "S":
            self.backwards = not self.backwards
        else:
            self.sort, self.backwards = names[(names.index(self.sort) + 1) % len(names)], False
        self.first = 0

    def _ask(self, key: str, row: Row) -> None:
        """Both cost: pages that are not read, or credits. So neither is a slip of the finger away."""
        if key == "c":
            if row.status in ACTIVE:
                self.question = Action(Verb.CANCEL, row.id)
            else:
                self.told = f"{row.id} is {row.status} already"
        elif key == "r":
            if row.ended:
                self.question = Action(Verb.RETRY, row.id)
            else:
                self.told = f"{row.id} has not ended yet"

    def _index(self, rows: Sequence[Row]) -> int:
        """Where the selected job is; the first one where none was selected, or it is gone."""
        return next((index for index, row in enumerate(rows) if row.id == self.selected), 0)


def _move(key: str, index: int, page: int, count: int) -> int | None:
    """The new place among `count` after a key that moves; None for another key."""
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page, " ": page}
    ends = {"home": 0, "g": 0, "end": count - 1, "G": count - 1}
    if key in ends:
        return ends[key]
    return min(max(index + steps[key], 0), count - 1) if key in steps else None
