"""The live bar in a real terminal: what a user does to it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_jobs import FakeJob, make_failure, make_pages
from fake_server import FakeServer
from running import READER
from terminal.screen import Terminal


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def environ(home: dict[str, str], server: FakeServer) -> dict[str, str]:
    return {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}


def started(server: FakeServer, pages: int, total: int) -> FakeJob:
    job = server.add(FakeJob(total))
    for page in make_pages(pages):
        job.finish(page)
    return job


def finish(job: FakeJob) -> None:
    for page in make_pages(job.total)[job.completed :]:
        job.finish(page)
    job.end()


def test_ctrl_z_gives_the_cursor_back_and_fg_goes_on(server: FakeServer, environ: dict[str, str]) -> None:
    job = started(server, 2, 5)
    with Terminal("--norc", "-i", environ=environ, program="bash") as terminal:  # only a job of a shell can be stopped
        terminal.type(f"{READER} watch {job.id}; echo code=$?\n".encode())
        terminal.wait_for(b"2/5")
        assert terminal.cursor_hidden
        terminal.type(b"\x1a")
        terminal.wait_for(b"Stopped")
        assert not terminal.cursor_hidden
        terminal.type(b"fg\n")
        finish(job)
        terminal.wait_for(b"5/5")
        terminal.wait_for(b"read the results")
        assert not terminal.cursor_hidden
        terminal.type(b"exit\n")
        assert terminal.finish() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_leaves_a_sane_terminal(server: FakeServer, environ: dict[str, str], number: int, code: int) -> None:
    job = started(server, 1, 3)
    with Terminal("watch", job.id, environ=environ) as terminal:
        terminal.wait_for(b"1/3")
        terminal.process.send_signal(number)
        assert terminal.finish() == code
        assert not terminal.cursor_hidden
        words = terminal.seen.decode().split("\r\n")[-3:]
        assert words == [f"reader watch {job.id}", f"reader cancel {job.id}", ""]


def test_the_bar_follows_the_width_of_the_window(server: FakeServer, environ: dict[str, str]) -> None:
    job = started(server, 1, 3)
    with Terminal("watch", job.id, environ=environ, columns=120) as terminal:
        terminal.wait_for(b"1/3")
        terminal.resize(24, 50)
        job.finish(make_failure(1))
        terminal.wait_for(b"2/3")
        finish(job)
        assert terminal.finish() == 5
        last = [line for line in terminal.seen.decode().split("\r") if "3/3" in line][-1]
        assert len(last.split("\x1b[")[0]) <= 50


def test_hostile_text_is_not_live(server: FakeServer, environ: dict[str, str]) -> None:
    job = server.add(FakeJob(1))
    job.finish({"url": "https://a.example/\x1b]0;owned\x07", "error": "\x1b[2Jgone [bold]\u202e x"})
    job.end()
    with Terminal("watch", job.id, environ=environ) as terminal:
        assert terminal.finish() == 5
    assert b"owned" in terminal.seen and b"\x1b]0" not in terminal.seen and b"\x1b[2J" not in terminal.seen
    assert "\u202e" not in terminal.seen.decode() and b"[bold]" in terminal.seen


def test_many_jobs_have_a_bar_each_as_far_as_the_screen_goes(server: FakeServer, environ: dict[str, str]) -> None:
    jobs = [started(server, 1, 2) for _ in range(30)]
    with Terminal("watch", *[job.id for job in jobs], environ=environ, rows=12, columns=100) as terminal:
        terminal.wait_for(b"30/60")
        assert b"/s" not in terminal.seen  # what was read before tells no speed
        for job in jobs:
            finish(job)
        assert terminal.finish() == 0
    assert b"30 jobs" in terminal.seen and b"60/60" in terminal.seen


@pytest.mark.parametrize("variable", [{"CI": "true"}, {"TERM": "dumb"}])
def test_no_bar_where_it_would_ruin_a_log(
    server: FakeServer, environ: dict[str, str], variable: dict[str, str]
) -> None:
    job = started(server, 2, 2)
    job.end()
    with Terminal("watch", job.id, environ={**environ, **variable}) as terminal:
        assert terminal.finish() == 0
    assert b"\x1b" not in terminal.seen and b"2/2" in terminal.seen


def test_no_color_has_no_colour(server: FakeServer, environ: dict[str, str]) -> None:
    job = started(server, 2, 2)
    job.end()
    with Terminal("watch", job.id, environ={**environ, "NO_COLOR": "1"}) as terminal:
        assert terminal.finish() == 0
    assert b"\x1b[3" not in terminal.seen and b"\x1b[9" not in terminal.seen


def test_json_events_on_stdout_beside_a_bar(server: FakeServer, environ: dict[str, str], tmp_path: Path) -> None:
    job = started(server, 2, 2)
    job.end()
    file = tmp_path / "events.jsonl"
    with Terminal("watch", job.id, "--json", "--progress", "bar", environ=environ, stdout=file) as terminal:
        assert terminal.finish() == 0
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert events[-1]["event"] == "done" and b"2/2" in terminal.seen
