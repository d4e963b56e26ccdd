"""`reader usage`: the history of the workspace, however long it is."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_server import FakeServer, Request
from invoking import User

NOW = datetime.now(UTC)


def entry(number: int, *, hours: float = 0.0, **fields: Any) -> dict[str, Any]:
    when = (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "id": f"use_{number}",
        "url": f"https://a.test/{number}",
        "duration": 12,
        "status": "success",
        "cached": False,
        "proxyMode": "standard",
        "credits": 1,
        "error": None,
        "createdAt": when,
    } | fields


def test_every_entry_comes_once_while_new_ones_push_the_list(
    user: User, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.usage = [entry(number) for number in range(250)]
    handle = server.handle

    def handle_and_grow(request: Request) -> tuple[int, Any]:
        answer = handle(request)
        server.usage[:0] = [entry(1000 + len(server.usage) + number) for number in range(30)]
        return answer

    monkeypatch.setattr(server, "handle", handle_and_grow)
    done = user.run("usage", "--json")
    assert done.code == 0 and [row["id"] for row in done.objects] == [f"use_{number}" for number in range(250)]


def test_since_stops_reading_where_all_is_older(user: User, server: FakeServer) -> None:
    server.usage = [entry(number, hours=number) for number in range(1000)]
    done = user.run("usage", "--since", "150h")
    assert len(done.lines) == 150 and len(server.requests) == 3
    assert "150 pages, 150 credits" in done.err
    date = (NOW - timedelta(hours=49)).astimezone().strftime("%Y-%m-%dT%H:%M:%S")  # the user's own time
    assert len(user.run("usage", "--since", date).lines) == 50
    assert len(user.run("usage", "--since", "2d").lines) == 48
    assert user.run("usage", "--since", "yesterday").code == 2


def test_since_finds_what_a_server_sends_oldest_first(user: User, server: FakeServer) -> None:
    server.usage = [entry(number, hours=number) for number in reversed(range(300))]
    assert len(user.run("usage", "--since", "10h").lines) == 10


def test_limit(user: User, server: FakeServer) -> None:
    server.usage = [entry(number) for number in range(300)]
    assert len(user.run("usage", "--limit", "3").lines) == 3
    assert len(server.requests) == 1


def test_csv_is_one_line_an_entry_whatever_is_in_it(user: User, server: FakeServer) -> None:
    server.usage = [entry(1, url='https://a.test/?q="x,y"'), entry(2, error="bad\n\x1b[2Jthing", credits=0)]
    rows = list(csv.DictReader(io.StringIO(user.run("usage", "--format", "csv").out.decode())))
    assert [row["url"] for row in rows] == ['https://a.test/?q="x,y"', "https://a.test/2"]
    assert rows[0]["cached"] == "false" and rows[0]["error"] == "" and rows[1]["error"] == "bad [2Jthing"
    assert user.run("usage", "--format", "csv", "--json").code == 2
    assert user.run("usage", "--format", "xml").code == 2


def test_a_terminal_gets_a_table(user: User, server: FakeServer) -> None:
    server.usage = [entry(1, url="https://a.test/\x1b[2J" + "x" * 200, cached=True)]
    lines = user.run("usage", terminal=True).lines
    assert lines[0].split() == ["WHEN", "STATUS", "CREDITS", "MS", "CACHED", "URL"]
    assert "\x1b" not in lines[1] and "success" in lines[1] and len(lines[1]) <= 80


def test_memory_is_flat(user: User, server: FakeServer) -> None:
    server.usage = [entry(number, error="x" * 500) for number in range(2000)]
    user.run("usage", "--limit", "1")  # imports
    tracemalloc.start()
    user.run("usage", "--format", "csv", "--limit", "500")
    _, few = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    done = user.run("usage", "--format", "csv")
    _, many = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert many - few < 2 * len(done.out) + 500_000  # what grew is the output, which this test keeps
