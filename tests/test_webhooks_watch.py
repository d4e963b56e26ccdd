"""`watch --via webhook`: no polling, no open connection, and the same outcome."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from engine_server import Engine
from running import kill_engine, new_environ, reader, start
from site_server import Site

from reader_cli.client.api import Client
from reader_cli.client.watch import WatchOptions
from reader_cli.events import Done, Event, PageDone, PageFailed
from reader_cli.webhooks import watching


class Counted(httpx.HTTPTransport):
    """Counts what goes over the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return super().handle_request(request)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.start(tmp_path / "engine") as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def watch(client: Client, job_id: str) -> Iterator[Event]:
    return watching.watch_by_webhook(client, [job_id], WatchOptions(), port=0, public_url=None, before={})


def test_it_asks_at_the_beginning_and_at_the_end(engine: Engine, site: Site) -> None:
    site.broken.add("/3")
    site.gate.clear()
    job_id = engine.submit({"urls": site.urls(30)})
    transport = Counted()
    with Client(engine.url, engine.key, transport=transport) as client:
        events = []
        for event in watch(client, job_id):
            events.append(event)
            site.gate.set()
    assert transport.requests.count("GET /v1/jobs/" + job_id) <= 4, "first, last, and the results for what failed"
    assert [line for line in transport.requests if "jobs" not in line] == [
        "GET /v1/webhooks",
        "POST /v1/webhooks",
        f"DELETE {next(line for line in transport.requests if line.startswith('DELETE')).split()[1]}",
    ]
    done = events[-1]
    assert isinstance(done, Done) and (done.completed, done.failed) == (30, 1)
    failed = [event.url for event in events if isinstance(event, PageFailed)]
    assert failed == [site.urls(4)[3]], "told once, by whichever told it first"
    assert {event.url for event in events if isinstance(event, PageDone)} <= set(site.urls(30))
    assert engine.get("/v1/webhooks").json()["data"] == []


def test_of_a_cancellation_no_event_tells(engine: Engine, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "QUIET", (0.5, 1.0))
    site.gate.clear()
    job_id = engine.submit({"urls": site.urls(3)})
    with Client(engine.url, engine.key) as client:
        events = watch(client, job_id)
        next(events)
        engine.client.delete(f"/v1/jobs/{job_id}")
        assert list(events)[-1] == Done(job_id, "cancelled", 0, 3, 0, 0)


def test_the_command(home: dict[str, str], site: Site) -> None:
    site.broken.add("/1")
    site.slow |= {"/0": 1.0}
    job_id = reader("submit", *site.urls(4), environ=home).lines[0]
    done = reader("watch", job_id, "--via", "webhook", "--json", environ=home)
    assert done.code == 5
    assert done.objects[0] == {"event": "notice", "jobId": "", "code": "via", "message": "webhook"}
    last = done.objects[-1]
    assert (last["event"], last["status"], last["completed"], last["failed"]) == ("done", "completed", 4, 1)
    again = reader("watch", job_id, "--via", "webhook", "--max-failures", "1", environ=home)
    assert again.code == 0 and "watching by webhook" in again.err
    assert reader("webhooks", "list", "--json", environ=home).objects == []


def test_leaving_it(home: dict[str, str], site: Site) -> None:
    site.gate.clear()
    job_id = reader("submit", *site.urls(2), environ=home).lines[0]
    late = reader("watch", job_id, "--via", "webhook", "--timeout", "1", environ=home)
    assert late.code == 124 and f"reader watch {job_id}" in late.err
    process = start("watch", job_id, "--via", "webhook", "--json", environ=home)
    assert process.stdout
    assert json.loads(process.stdout.readline())["message"] == "webhook"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert err.count(b"\n") == 1, err
    assert process.returncode == 130 and f"reader watch {job_id}" in json.loads(err)["error"]["hint"]
    assert reader("webhooks", "list", "--json", environ=home).objects == []


def test_where_it_cannot_be(home: dict[str, str], tmp_path: Path) -> None:
    environ = new_environ(tmp_path, READER_API_URL="http://reader.invalid", READER_API_KEY="rdr_x")
    refused = reader("watch", "job_1", "--via", "webhook", environ=environ)
    assert refused.code == 2 and "--public-url" in refused.err
    assert reader("watch", "job_1", "--port", "9", environ=environ).code == 2
    for command in (["submit", "http://127.0.0.1:9/", "--wait", "--results"], ["results", "job_1", "--follow"]):
        wrong = reader(*command, "--via", "webhook", environ=home)
        assert wrong.code == 2 and wrong.out == b"" and "--via webhook" in wrong.err


def test_an_engine_that_dies_and_comes_back(home: dict[str, str], site: Site) -> None:
    site.delay = 0.05
    job_id = reader("submit", *site.urls(100), environ=home).lines[0]
    process = start("watch", job_id, "--via", "webhook", "--json", environ=home)
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("completed", 0) >= 10:
            break
    kill_engine(home)
    assert reader("status", job_id, environ=home).code == 0  # any command starts it again
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert reader("status", job_id, "--json", environ=home).objects[0]["completed"] == 100
