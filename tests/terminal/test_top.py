"""`reader top` in a pseudo-terminal."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_faults import refuse
from fake_jobs import FakeJob, make_failure, make_page
from fake_server import FakeServer
from rich.cells import cell_len
from running import READER, new_environ, start
from terminal.screen import Terminal

from reader_cli.history import History
from reader_cli.inputs.records import Item

SIZES = [(24, 80), (60, 200)]
CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]")
# What top itself says to a terminal: move, clear, colours, modes. Titles, clipboards and the like are not among it.
SEQUENCES = re.compile(rb"\x1b\[[0-9;?]*[HJKmhlABCDG]")
HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m[red]\u202e\r\n日本"


@pytest.fixture
def environ(server: FakeServer, tmp_path: Path) -> dict[str, str]:
    server.counts_failed = True
    return new_environ(tmp_path, READER_API_URL=server.url, READER_API_KEY=server.key)


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[Terminal]:
    with Terminal("top", environ=environ) as running:
        running.wait_for_picture("live")
        yield running


def add_job(server: FakeServer, total: int = 10, job_id: str = "", *, done: int = 0, failed: int = 0) -> FakeJob:
    job = server.add(FakeJob(total=total, job_id=job_id, counts_failed=True))
    for number in range(done):
        job.finish(make_failure(number) if number < failed else make_page(number))
    return job


def line_of(picture: list[str], text: str) -> str:
    return next(line for line in picture if text in line)


def wait_for_request(server: FakeServer, match: str, count: int = 1) -> None:
    deadline = time.monotonic() + 20
    while server.count(match) < count:
        assert time.monotonic() < deadline, f"{match} never came"
        time.sleep(0.01)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_jobs_of_the_history_and_of_the_stream_are_shown_and_the_terminal_given_back(
    rows: int, columns: int, server: FakeServer, environ: dict[str, str]
) -> None:
    history = History.open(Path(environ["XDG_STATE_HOME"]) / "reader" / "history.db")
    run = history.new_run(server.url, "nightly", {}, [[Item("https://a.test/first", None, "args", 1)]], now=1.0)
    history.mark_accepted(run.parts[0], {"id": "job_known"})
    history.close()
    add_job(server, 4, "job_known", done=2, failed=1)
    with Terminal("top", environ=environ, rows=rows, columns=columns) as terminal:
        before = terminal.modes()
        terminal.wait_for_picture("live", "90 of 100 credits", "queue 1/2", "2/4")
        job = add_job(server, 10, "job_fresh")
        for number in range(5):
            job.finish(make_page(number))
        picture = terminal.wait_for_picture("job_fresh", "5/10", "processing")
        assert len(picture) == rows and all(cell_len(line) <= columns for line in picture)
        assert " 1 " in line_of(picture, "job_known")  # that failed
        assert ("nightly" in line_of(picture, "job_known")) == (columns >= 120)
        job.end()
        terminal.wait_for_picture("completed")
        assert terminal.modes() != before
        terminal.type(b"q")
        assert terminal.finish() == 0
        assert terminal.modes() == before
        assert terminal.seen.count(b"\x1b[?1049h") == terminal.seen.count(b"\x1b[?1049l") == 1
        assert terminal.seen.rfind(b"\x1b[?25h") > terminal.seen.rfind(b"\x1b[?25l") >= 0


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_hostile_text_stays_on_its_line_and_says_nothing_to_the_terminal(
    rows: int, columns: int, server: FakeServer, environ: dict[str, str]
) -> None:
    with Terminal("top", environ=environ, rows=rows, columns=columns) as terminal:
        terminal.wait_for_picture("live")
        job = add_job(server, 3, "job_" + HOSTILE)
        job.finish(make_failure(0, error=HOSTILE * 20))
        job.finish({"url": "https://a.test/" + HOSTILE, "error": "x"})
        server.emit("job:progress", {"jobId": "job_odd", "status": HOSTILE, "completed": "x" * 999, "total": -5})
        terminal.wait_for_picture("2/3", "job_odd")
        terminal.type(b"s\r")
        picture = terminal.wait_for_picture("2 failed pages", "[red]")
        assert len(picture) == rows and all(cell_len(line) <= columns for line in picture)
        terminal.type(b"\x1b")
        terminal.wait_for_picture("job_odd")
        terminal.type(b"q")
        assert terminal.finish() == 0
        assert not CONTROLS.findall(terminal.seen)
        assert b"\x1b" not in SEQUENCES.sub(b"", terminal.seen)


def test_more_jobs_than_lines(server: FakeServer, environ: dict[str, str]) -> None:
    with Terminal("top", environ=environ) as terminal:
        terminal.wait_for_picture("live")
        for number in range(60):
            add_job(server, 2, f"job_{number:02}", done=1)
        terminal.wait_for_picture("60 of 60 jobs active", "job_59")
        terminal.type(b"\x1b[F")  # end
        assert len(terminal.wait_for_picture("job_00", without="job_59")) == 24
        terminal.type(b"\x1b[5~" * 9)
        terminal.wait_for_picture("job_59", without="job_00")


def test_cancelling_asks_and_only_y_is_yes(server: FakeServer, terminal: Terminal) -> None:
    job = add_job(server, done=1)
    terminal.wait_for_picture(job.id)
    for key in (b"n", b"\r", b"q"):
        terminal.type(b"c")
        terminal.wait_for_picture(f"Cancel {job.id}? y/n")
        terminal.type(key)
        terminal.wait_for_picture(job.id, without="y/n")
    terminal.type(b"\x1b[200~cy\x1b[201~")  # what is pasted is not typed
    terminal.type(b"c")
    terminal.wait_for_picture("y/n")
    assert server.count("DELETE") == 0
    terminal.type(b"y")
    terminal.wait_for_picture("cancelled")
    assert job.status == "cancelled"


def test_a_job_is_opened_and_what_failed_retried(server: FakeServer, terminal: Terminal) -> None:
    job = add_job(server, 30, done=30, failed=25)
    job.end()
    terminal.wait_for_picture("30/30")
    terminal.type(b"\r")
    picture = terminal.wait_for_picture(
        "25 failed pages", "completed: 30 of 30 pages, 25 failed", "https://site.test/0"
    )
    assert "https://site.test/24" not in "\n".join(picture)
    terminal.type(b"G")
    terminal.wait_for_picture("https://site.test/24", without="https://site.test/0 ")
    terminal.type(b"ry")
    terminal.wait_for_picture("reads 25 pages again")
    wait_for_request(server, f"POST /v1/jobs/{job.id}/retry")
    terminal.type(b"q")
    terminal.wait_for_picture("queued", "5/30")


def test_sorting(server: FakeServer, terminal: Terminal) -> None:
    few, many = add_job(server, 100, done=60, failed=3), add_job(server, 100, done=10)

    def order(picture: list[str]) -> list[str]:
        return [word for line in picture for word in line.split() if word in (few.id, many.id)]

    terminal.wait_for_picture(few.id, many.id)
    terminal.type(b"ss")
    assert order(terminal.wait_for_picture("DONE▾")) == [few.id, many.id]
    terminal.type(b"S")
    assert order(terminal.wait_for_picture("DONE▴")) == [many.id, few.id]


def test_a_refusal_is_told_on_the_screen(server: FakeServer, terminal: Terminal) -> None:
    job = add_job(server, done=1)
    terminal.wait_for_picture(job.id)
    server.inject(refuse(409, "conflict"), match="DELETE")
    terminal.type(b"cy")
    terminal.wait_for_picture("refused: conflict")


def test_resizing(server: FakeServer, environ: dict[str, str]) -> None:
    with Terminal("top", environ=environ | {"LINES": "24", "COLUMNS": "80"}) as terminal:
        terminal.wait_for_picture("live")
        add_job(server, done=1)
        terminal.wait_for_picture("1/10", without="FIRST URL")
        for rows, columns in ((60, 200), (6, 30), (24, 80)):
            terminal.resize(rows, columns)
            picture = terminal.wait_for_picture("reader top")
            assert len(picture) == rows and all(cell_len(line) <= columns for line in picture)
        terminal.resize(60, 200)
        terminal.wait_for_picture("FIRST URL", "https://site.test/0")


def test_a_lost_stream_is_told_and_opened_again(server: FakeServer, terminal: Terminal) -> None:
    server.inject(refuse(503, "internal_error"), match="/v1/events", times=3)
    server.drop_connections()
    terminal.wait_for_picture("reconnecting")
    terminal.wait_for_picture("live")


@pytest.mark.parametrize(
    ("ending", "code"), [("\x03", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143), ("a refused key", 6)]
)
def test_whatever_ends_it_the_terminal_is_given_back(
    ending: str | signal.Signals, code: int, server: FakeServer, environ: dict[str, str]
) -> None:
    with Terminal("top", environ=environ) as terminal:
        before = terminal.modes()
        terminal.wait_for_picture("live")
        if isinstance(ending, signal.Signals):
            terminal.process.send_signal(ending)
        elif ending == "\x03":
            terminal.type(ending.encode())
        else:
            server.inject(refuse(401, "unauthenticated"), match="/v1/events")
            server.drop_connections()
        assert terminal.finish() == code
        assert terminal.modes() == before
        assert terminal.seen.rfind(b"\x1b[?1049l") > terminal.seen.rfind(b"\x1b[?1049h") >= 0
        assert terminal.seen.rfind(b"\x1b[?25h") > terminal.seen.rfind(b"\x1b[?25l") >= 0
        told = terminal.seen.rpartition(b"\x1b[?1049l")[2]
        assert (b"unauthenticated" in told) == (code == 6) and b"Traceback" not in told


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(
    server: FakeServer, environ: dict[str, str]
) -> None:
    add_job(server, done=1, job_id="job_once")
    environ |= {"PS1": "shell> ", "PATH": f"{Path(READER).parent}:{os.environ['PATH']}"}
    with Terminal("--norc", "--noprofile", "-i", program="bash", environ=environ) as terminal:
        terminal.wait_for(b"shell> ")
        terminal.type(b"reader top\n")
        terminal.wait_for_picture("live")
        terminal.type(b"\x1a")
        terminal.wait_for(b"Stopped")
        assert terminal.seen.rfind(b"\x1b[?1049l") > terminal.seen.rfind(b"\x1b[?1049h")
        add_job(server, done=2, job_id="job_meanwhile")
        terminal.type(b"fg\n")
        terminal.wait_for_picture("job_meanwhile")
        terminal.type(b"q")
        terminal.wait_for(b"shell> ", times=3)
        terminal.type(b"echo code=$?.\n")
        terminal.wait_for(b"code=0.")


def test_without_a_terminal_there_are_plain_lines(server: FakeServer, environ: dict[str, str]) -> None:
    process = start("top", environ=environ)
    assert process.stdout and process.stderr
    assert b"connected" in process.stderr.readline()
    job = add_job(server, 2, "job_\x1b[2Jx", done=1)
    assert b"job_[2Jx processing 1/2, 1 credit" in process.stdout.readline()
    job.finish(make_failure(1))
    job.end()
    assert b"completed 2/2, 1 failed, 1 credit" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")
