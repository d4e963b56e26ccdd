"""Event streams: their beginning and end, replay from any event, the workspace's, and readers that leave."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from engine_server import Engine
from site_server import Site

Told = list[tuple[str, dict[str, Any], str]]


def pages_of(events: Told) -> list[str]:
    return [data["url"] for name, data, _ in events if name in ("page", "error")]


def test_a_stream_from_the_start(engine: Engine, site: Site) -> None:
    site.broken.add("/2")
    site.gate.clear()
    job_id = engine.submit({"urls": site.urls(5)})
    told: Told = []
    for event in engine.events(job_id):
        told.append(event)
        site.gate.set()
    names = [name for name, _, _ in told]
    assert names[0] == "progress" and names[-2:] == ["progress", "done"]
    assert sorted(pages_of(told)) == sorted(site.urls(5))
    assert [data for name, data, _ in told if name == "page"] == [p for p in engine.results(job_id) if "error" not in p]
    (error,) = [data for name, data, _ in told if name == "error"]
    assert set(error) == {"url", "error"}
    assert told[-1][1] == {"status": "completed", "completed": 5, "total": 5, "failed": 1}
    numbers = [int(number) for _, _, number in told]
    assert numbers == sorted(numbers)


def test_whatever_event_came_last_the_rest_is_replayed(engine: Engine, site: Site) -> None:
    site.broken.add("/2")
    job_id = engine.submit({"urls": site.urls(6)})
    engine.wait(job_id)
    whole = list(engine.events(job_id, last="0"))
    assert [name for name, _, _ in whole] == ["progress", *(name for name, _, _ in whole[1:-1]), "done"]
    everything = pages_of(whole)
    assert sorted(everything) == sorted(site.urls(6))
    for cut, (_, _, last) in enumerate(whole):
        told = list(engine.events(job_id, last=last))
        assert pages_of(whole[: cut + 1]) + pages_of(told) == everything
        assert told[0][0] == "progress" and told[-1][0] == "done"


@pytest.mark.parametrize("last", [None, "x", "-1", "999999", "9" * 40])
def test_a_terminal_job_is_told_in_two_events(engine: Engine, site: Site, last: str | None) -> None:
    job_id = engine.submit({"urls": site.urls(1)})
    engine.wait(job_id)
    assert [name for name, _, _ in engine.events(job_id, last=last)] == ["progress", "done"]


def test_a_retry_is_told_with_new_outcomes_only(engine: Engine, site: Site) -> None:
    site.broken |= {"/0", "/1"}
    job_id = engine.submit({"urls": site.urls(4)})
    engine.wait(job_id)
    last = list(engine.events(job_id))[-1][2]
    site.broken.remove("/0")
    engine.post(f"/v1/jobs/{job_id}/retry")
    told = list(engine.events(job_id, last=last))
    assert sorted(pages_of(told)) == sorted(site.urls(2))
    assert told[-1][1] == {"status": "completed", "completed": 4, "total": 4, "failed": 1}


def test_many_readers_are_told_the_same(engine: Engine, site: Site) -> None:
    site.gate.clear()
    job_id = engine.submit({"urls": site.urls(20)})
    told: list[list[str]] = [[] for _ in range(30)]
    began = threading.Barrier(31)

    def read(number: int) -> None:
        for first, event in zip(itertools.chain([True], itertools.repeat(False)), engine.events(job_id), strict=False):
            if first:
                began.wait()
            told[number] += pages_of([event])

    readers = [threading.Thread(target=read, args=(number,)) for number in range(30)]
    for reader in readers:
        reader.start()
    began.wait()
    site.gate.set()
    for reader in readers:
        reader.join()
    assert all(sorted(urls) == sorted(site.urls(20)) for urls in told)


def test_line_ends_that_only_python_knows_break_no_event(engine: Engine, site: Site) -> None:
    text = "one\u2028two\u2029three\x85four"
    site.bodies["/0"] = ("text/plain; charset=utf-8", (text * 20).encode())
    job_id = engine.submit({"urls": site.urls(1)})
    engine.wait(job_id)
    (page,) = [data for name, data, _ in engine.events(job_id, last="0") if name == "page"]
    assert page == engine.results(job_id)[0] and "one\u2028two" in page["markdown"]


def test_the_workspace_stream(engine: Engine, site: Site) -> None:
    site.gate.clear()
    site.broken.add("/1")
    done, cancelled = engine.submit({"urls": site.urls(3)}), engine.submit({"urls": site.urls(3)})
    told: Told = []
    for name, data, number in engine.events(None):
        told.append((name, data, number))
        if len(told) == 1:
            engine.client.delete(f"/v1/jobs/{cancelled}")
            site.gate.set()
        if name == "job:completed" and data["jobId"] == done:
            break
    first = [data["jobId"] for name, data, _ in told if name == "job:progress"][:2]
    assert set(first) == {done, cancelled}
    assert any(data["jobId"] == cancelled and data["status"] == "cancelled" for _, data, _ in told)
    assert told[-1][1] == {
        "jobId": done, "status": "completed", "completed": 3, "total": 3, "failed": 1, "creditsUsed": 2,
    }  # fmt: skip
    (again,) = itertools.islice(engine.events(None, last=str(int(told[-1][2]) - 1)), 1)
    assert again == told[-1]


def test_an_event_id_of_another_engine_begins_a_workspace_stream_anew(engine: Engine, site: Site) -> None:
    site.gate.clear()
    job_id = engine.submit({"urls": site.urls(1)})
    for name, data, _ in engine.events(None, last="999999"):
        site.gate.set()
        if name == "job:completed" and data["jobId"] == job_id:
            break


SHORT = "from reader_cli.engine import connections, stream; stream.PING_SECONDS = 0.2; connections.SLOW_SECONDS = 1"


def test_a_quiet_stream_is_kept_alive(data_dir: Path, site: Site) -> None:
    site.gate.clear()
    with Engine.start(data_dir, prelude=SHORT) as engine:
        job_id = engine.submit({"urls": site.urls(1)})
        for path in (f"/v1/jobs/{job_id}/stream", "/v1/events"):
            with engine.client.stream("GET", path) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                lines = answer.iter_lines()
                assert list(itertools.islice((x for x in lines if x.startswith(":")), 3)) == [": ping"] * 3


def test_a_reader_that_takes_nothing_is_dropped(data_dir: Path, site: Site) -> None:
    site.bodies |= {f"/{number}": ("text/plain", b"a line of text\n" * 30_000) for number in range(30)}
    with Engine.start(data_dir, prelude=SHORT) as engine:
        job_id = engine.submit({"urls": site.urls(30)})
        engine.wait(job_id)
        descriptors = Path(f"/proc/{engine.pid}/fd")
        before = len(list(descriptors.iterdir()))
        with socket.create_connection((engine.client.base_url.host, engine.client.base_url.port or 0)) as reader:
            headers = ["host: x", f"x-api-key: {engine.key}", "last-event-id: 0", "", ""]
            reader.sendall("\r\n".join([f"GET /v1/jobs/{job_id}/stream HTTP/1.1", *headers]).encode())
            assert reader.recv(1) == b"H"
            assert len(list(descriptors.iterdir())) > before
            while len(list(descriptors.iterdir())) > before:
                time.sleep(0.05)
        assert len(engine.results(job_id)) == 30
