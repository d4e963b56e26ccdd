"""What top knows, and what keys do to its view: no terminal, no server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_cli.client.workspace import WorkspaceEvent
from reader_cli.errors import ApiError, Unreachable
from reader_cli.models import Job
from reader_cli.top import board as boards
from reader_cli.top.board import ASKED_AT_ONCE, GONE, QUIET, Board
from reader_cli.top.keys import decode
from reader_cli.top.view import Action, Verb, View


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def board(time: Time) -> Board:
    return Board(time, time)


def progress(job_id: str, completed: Any = 0, status: Any = "processing", **more: Any) -> WorkspaceEvent:
    return WorkspaceEvent(
        "job:progress", {"jobId": job_id, "status": status, "completed": completed, "total": 10, **more}
    )


def job(job_id: str, status: str = "processing", completed: int = 0) -> Job:
    return {"id": job_id, "status": status, "completed": completed, "total": 10, "failed": 0, "creditsUsed": completed}


def fill(board: Board, *job_ids: str) -> None:
    for job_id in job_ids:
        board.hear(progress(job_id))
        board.learn(job(job_id))


def test_a_job_that_is_new_is_asked_about_once(board: Board) -> None:
    board.hear(progress("job_1", 3))
    assert board.take_due() == ["job_1"] and board.take_due() == []
    assert not board.learn(job("job_1", completed=4))
    board.hear(progress("job_1", 5))
    assert board.take_due() == [] and board.rows["job_1"].completed == 5


def test_an_end_is_believed_from_get_alone(board: Board) -> None:
    fill(board, "job_1")
    board.hear(WorkspaceEvent("job:completed", {"jobId": "job_1", "status": "completed", "completed": 10}))
    assert board.rows["job_1"].status == "processing" and board.take_due() == ["job_1"]
    assert board.learn(job("job_1", "completed", 10))
    assert board.rows["job_1"].ended and board.take_due() == []
    assert not board.learn(job("job_1", "completed", 10))


def test_a_quiet_job_is_asked_about(board: Board, time: Time) -> None:
    fill(board, "job_1")
    time.now += QUIET - 1
    assert board.take_due() == []
    time.now += 1
    assert board.take_due() == ["job_1"]


def test_few_requests_are_under_way_and_a_lost_job_is_left_alone(board: Board, time: Time) -> None:
    for number in range(10):
        board.hear(progress(f"job_{number}"))
    first = board.take_due()
    assert len(first) == ASKED_AT_ONCE
    board.fail(first[0], ApiError("not_found", "no", status=404))
    board.fail(first[1], Unreachable("gone"))
    assert board.rows[first[0]].status == GONE and len(board.take_due()) == 2
    time.now += QUIET
    assert first[0] not in board.take_due()


def test_a_retry_runs_again(board: Board, time: Time) -> None:
    board.learn(job("job_1", "completed", 10))
    board.queue_again("job_1")
    assert not board.rows["job_1"].ended
    time.now += 5
    assert board.take_due() == ["job_1"]


def test_rows_are_bounded_and_the_active_stay(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "MOST_ROWS", 5)
    fill(board, "job_live")
    for number in range(20):
        board.learn(job(f"job_{number}", "completed"))
    assert len(board.rows) == 5 and "job_live" in board.rows


@given(
    st.dictionaries(
        st.sampled_from(["jobId", "status", "completed", "total", "failed", "creditsUsed"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_no_event_breaks_the_board(data: dict[str, Any]) -> None:
    board = Board(lambda: 1.0, lambda: 1.0)
    board.hear(WorkspaceEvent("job:progress", data))
    for row in View(board).shown():
        assert 0 <= row.share <= 1 and row.completed >= 0 and row.speed >= 0


def test_keys_move_the_selection_and_it_stays_with_its_job(board: Board, time: Time) -> None:
    for number in range(5):
        time.now += 1
        fill(board, f"job_{number}")
    view = View(board, height=3)
    for key in ("down", "j", "k", "down"):
        view.press(key)
    assert view.selected == "job_2" and [row.id for row in view.shown()] == ["job_4", "job_3", "job_2"]
    view.press("end")
    assert view.selected == "job_0" and view.shown()[-1].id == "job_0"
    time.now += 1
    fill(board, "job_new")
    assert view.selected == "job_0" and "job_0" in [row.id for row in view.shown()]
    view.press("page up")
    view.press("home")
    assert view.shown()[0].id == view.selected == "job_new"


def test_what_cannot_be_done_is_told_and_not_asked(board: Board) -> None:
    fill(board, "job_1")
    view = View(board)
    view.press("r")
    assert view.question is None and "not ended" in view.told
    view.press("c")
    assert view.question == Action(Verb.CANCEL, "job_1")
    board.learn(job("job_1", "completed"))
    assert view.press("y") == Action(Verb.CANCEL, "job_1")  # the server says what became of it
    view.press("c")
    assert view.question is None and "completed already" in view.told


def test_no_key_does_anything_to_an_empty_list(board: Board) -> None:
    view = View(board)
    for key in ("enter", "c", "r", "down", "end", "page up", "s", "S", "?"):
        assert view.press(key) is None and view.shown() == []
    assert view.press("q") == Action(Verb.QUIT)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\x1b[Aj\x1bOB\r", ["up", "j", "down", "enter"]),
        (b"\x1b[5~\x1b[6~\x1b[H\x1b[4~", ["page up", "page down", "home", "end"]),
        (b"\x1b", ["escape"]),
        (b"\x1bc\xc3\xa9\x1b[1;5P\x1b[I", []),  # alt and a letter, é, F-keys and focus are no commands
        (b"a\x1b[200~cy\n\x1b[201~b", ["a", "b"]),
        (b"\x1b[200~cy", []),
    ],
)
def test_keys_have_names(data: bytes, keys: list[str]) -> None:
    assert list(decode(data)) == keys


@given(st.binary(max_size=60))
def test_any_bytes_are_keys_or_nothing(data: bytes) -> None:
    assert all(key.isprintable() and key for key in decode(data))
