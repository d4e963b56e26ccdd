"""`reader events`: the workspace's stream, over lost connections and through hostile data."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_faults import Fault, html, refuse
from fake_jobs import FakeJob, make_failure, make_page
from fake_server import FakeServer
from invoking import User
from running import new_environ, start


@contextmanager
def listening(server: FakeServer, home: Path, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """`reader events` that is connected."""
    environ = new_environ(home, READER_API_URL=server.url, READER_API_KEY=server.key)
    process = start("events", *argv, environ=environ)
    assert process.stderr
    try:
        assert b"connected" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def read_events(process: subprocess.Popen[bytes], count: int) -> list[dict[str, Any]]:
    assert process.stdout
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_events_come_as_lines_at_once_until_ctrl_c(server: FakeServer, tmp_path: Path) -> None:
    job = server.add(FakeJob(total=2, counts_failed=True))
    with listening(server, tmp_path) as process:
        job.finish(make_page(0))
        assert read_events(process, 1) == [
            {
                "event": "job:progress",
                "jobId": job.id,
                "status": "processing",
                "completed": 1,
                "total": 2,
                "failed": 0,
            }
        ]
        job.finish(make_failure(1))
        job.end()
        assert [event["event"] for event in read_events(process, 2)] == ["job:progress", "job:completed"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (130, b"", b"")


def test_only_and_job_choose(server: FakeServer, tmp_path: Path) -> None:
    jobs = [server.add(FakeJob(total=1)) for _ in range(4)]
    wanted = [word for job in jobs[1:] for word in ("--job", job.id)]
    with listening(server, tmp_path, "--only", "completed, cancelled", *wanted) as process:
        for job in jobs[:3]:
            job.finish(make_page(0))
            job.end()
        server.emit("job:progress", {"jobId": jobs[3].id, "status": "cancelled"})  # as the engine tells it
        told = [(event["event"], event["jobId"]) for event in read_events(process, 3)]
        assert told == [("job:completed", jobs[1].id), ("job:completed", jobs[2].id), ("job:progress", jobs[3].id)]


def test_hostile_data_is_one_harmless_line_and_what_is_unknown_is_passed_on(server: FakeServer, tmp_path: Path) -> None:
    with listening(server, tmp_path) as process:
        server.emit("weather", ["no object"])
        server.emit("job:\x1b[2J", {"jobId": "\x1b]0;x\x07\u2028\ud800", "event": "mine", "new": {"a": [1.5, None]}})
        assert process.stdout
        line = process.stdout.readline()
        assert line.isascii() and b"\x1b" not in line
        assert json.loads(line) == {
            "event": "job:\x1b[2J",
            "jobId": "\x1b]0;x\x07\u2028\ud800",
            "new": {"a": [1.5, None]},
        }


def test_a_lost_connection_is_opened_again_and_nothing_is_told_twice(server: FakeServer, tmp_path: Path) -> None:
    server.streams.ids, server.streams.repeat = True, 2
    job = server.add(FakeJob(total=30))
    with listening(server, tmp_path) as process:
        for number in range(30):
            job.finish(make_page(number))
            if number % 10 == 9:
                assert [event["completed"] for event in read_events(process, 10)] == list(range(number - 8, number + 2))
                server.drop_connections()
        assert server.count("GET /v1/events") >= 3


def test_a_server_that_went_wrong_later_is_waited_for(server: FakeServer, tmp_path: Path) -> None:
    job = server.add(FakeJob(total=1))
    with listening(server, tmp_path) as process:
        server.inject(html(404), match="/v1/events")  # a network that wants a log-in
        server.inject(html(503), match="/v1/events")
        server.drop_connections()
        assert process.stderr
        assert b"connecting again" in process.stderr.readline()
        assert b"connected" in process.stderr.readline()
        job.finish(make_page(0))
        assert len(read_events(process, 1)) == 1


def test_a_key_that_is_taken_away_ends_it(server: FakeServer, tmp_path: Path) -> None:
    with listening(server, tmp_path) as process:
        server.inject(refuse(401, "unauthenticated"), match="/v1/events")
        server.drop_connections()
        assert process.wait(20) == 6


def test_a_timeout_is_exit_124(server: FakeServer, tmp_path: Path) -> None:
    with listening(server, tmp_path, "--timeout", "0.2s") as process:
        assert process.wait(20) == 124


@pytest.mark.parametrize("fault", [html(502), refuse(500, "internal_error"), refuse(404, "not_found")])
def test_what_never_connects_is_given_up(fault: Fault, user: User, server: FakeServer) -> None:
    server.inject(fault, times=1000)
    began = user.clock()
    done = user.run("events")
    assert done.code == (7 if server.count("GET") == 1 else 9) and done.out == b""
    assert user.clock() - began <= 15


def test_a_word_that_only_does_not_know_is_a_usage_error(user: User) -> None:
    assert user.run("events", "--only", "completed,finished").code == 2
