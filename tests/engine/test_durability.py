"""kill -9 at any moment: after a restart the job goes on, and ends with each URL in its results once.

READER_TEST_KILLS=30 kills a batch and a crawl of 500 pages so often.
"""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import httpx
import pytest
from engine_server import Engine
from site_server import Site

KILLS = int(os.environ.get("READER_TEST_KILLS", "3"))
PAGES = 60 if KILLS <= 3 else 500


def kill_when(engine: Engine, job_id: str, completed: int) -> str:
    """Kills the engine once so many pages are done; returns the id of the last event that it told."""
    last = "0"
    try:
        for name, data, number in engine.events(job_id, last="0"):
            last = number
            if name == "done" or (name == "progress" and data["completed"] >= completed):
                break
    finally:
        engine.kill9()
    return last


def choose_moments() -> list[int]:
    """How many pages are done when it is killed."""
    return sorted(random.SystemRandom().choices(range(PAGES * 9 // 10), k=KILLS))


@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_batch_survives_being_killed_again_and_again(data_dir: Path, site: Site) -> None:
    site.delay = 0.01
    site.broken.add("/7")
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"urls": site.urls(PAGES), "cache": False})
        known: list[str] = []
        for moment in choose_moments():
            kill_when(engine, job_id, moment)
            engine.restart()
            urls = [page["url"] for page in engine.results(job_id)]
            assert urls[: len(known)] == known, "an entry keeps its place"
            known = urls
        job = engine.wait(job_id)
        assert (job["status"], job["completed"], job["failed"], job["creditsUsed"]) == (
            "completed",
            PAGES,
            1,
            PAGES - 1,
        )
        urls = [page["url"] for page in engine.results(job_id)]
        assert urls[: len(known)] == known and sorted(urls) == sorted(site.urls(PAGES))
        assert engine.get("/v1/usage/credits").json()["data"]["used"] == PAGES - 1


@pytest.mark.timeout(60 + 20 * KILLS)
def test_a_crawl_resumes_in_the_middle(data_dir: Path, site: Site) -> None:
    site.delay = 0.01
    half = PAGES * 6 // 10
    site.links = {"/": [f"/{number}" for number in range(half)]} | {
        f"/{number}": [f"/{number + half}"] for number in range(half)
    }
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"url": site.url + "/", "maxDepth": 2, "maxPages": PAGES})
        for moment in choose_moments():
            kill_when(engine, job_id, moment)
            engine.restart()
        job = engine.wait(job_id)
        assert (job["status"], job["completed"], job["total"]) == ("completed", PAGES, PAGES)
        urls = [page["url"] for page in engine.results(job_id)]
        assert len(set(urls)) == len(urls) == PAGES
        assert {site.url + path for path in ["/", *site.links["/"]]} <= set(urls)


def test_a_retry_survives_too(data_dir: Path, site: Site) -> None:
    site.broken = {f"/{number}" for number in range(0, 30, 2)}
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"urls": site.urls(30)})
        engine.wait(job_id)
        order = [page["url"] for page in engine.results(job_id)]
        site.broken = {"/0"}
        site.delay = 0.02
        engine.post(f"/v1/jobs/{job_id}/retry")
        kill_when(engine, job_id, 20)
        engine.restart()
        job = engine.wait(job_id)
        assert (job["completed"], job["failed"]) == (30, 1)
        assert [page["url"] for page in engine.results(job_id)] == order


def test_what_was_accepted_is_done_however_soon_the_end_comes(data_dir: Path, site: Site) -> None:
    headers = {"x-idempotency-key": "once"}
    with Engine.start(data_dir) as engine:
        first = engine.post("/v1/read", {"urls": site.urls(3)}, headers=headers)
        engine.kill9()
        engine.restart()
        again = engine.post("/v1/read", {"urls": site.urls(3)}, headers=headers)
        assert (again.status_code, again.content) == (201, first.content)
        assert engine.wait(first.json()["data"]["id"])["completed"] == 3
        assert site.hits["/0"] <= 2
        assert engine.get("/v1/usage/history").json()["pagination"]["total"] == 3


def test_what_was_accepted_before_dbos_knew_of_it_is_started(data_dir: Path, site: Site) -> None:
    """The moment between our own commit and DBOS's is reached by forgetting the latter."""
    with Engine.start(data_dir) as engine:
        site.gate.clear()
        job_id = engine.submit({"urls": site.urls(3)})
        engine.kill9()
        for file in data_dir.glob("runs.db*"):
            file.unlink()
        site.gate.set()
        engine.restart()
        assert engine.wait(job_id)["completed"] == 3


def test_a_stream_goes_on_after_a_restart_where_it_was_cut(data_dir: Path, site: Site) -> None:
    site.gates["/30"] = threading.Event()
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"urls": site.urls(40)})
        seen, last = [], "0"
        with pytest.raises(httpx.HTTPError):
            for name, data, number in engine.events(job_id, last=last):
                if name == "page":
                    seen.append(data["url"])
                    last = number
                if len(seen) == 10:
                    engine.kill9()
        site.gates["/30"].set()
        engine.restart()
        seen += [data["url"] for name, data, _ in engine.events(job_id, last=last) if name == "page"]
        assert sorted(seen) == sorted(site.urls(40))


def test_a_cancellation_outlives_a_crash(data_dir: Path, site: Site) -> None:
    site.gate.clear()
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"urls": site.urls(5)})
        assert engine.client.delete(f"/v1/jobs/{job_id}").status_code == 200
        engine.kill9()
        site.gate.set()
        engine.restart()
        engine.wait(engine.submit({"urls": [site.url + "/other"]}))
        job = engine.job(job_id)
        assert (job["status"], job["completed"], job["results"]) == ("cancelled", 0, [])


def test_a_job_that_breaks_keeps_what_it_has_and_can_be_retried(data_dir: Path, site: Site) -> None:
    """A disk that is full, here for files of more than 4 MB."""
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))"
    site.bodies |= {f"/{number}": ("text/plain", b"a line of text\n" * 10_000) for number in range(60)}
    with Engine.start(data_dir, prelude=full) as engine:
        job_id = engine.submit({"urls": site.urls(60), "cache": False})
        job = engine.wait(job_id)
        known = engine.results(job_id)
        assert job["status"] == "failed" and job["error"] and 0 < len(known) == job["completed"] < 60
        assert [name for name, data, _ in engine.events(job_id)] == ["progress", "done"]
        told = next(event for event in engine.events(None, last="0") if event[1]["jobId"] == job_id)
        assert (told[0], told[1]) == ("job:failed", {"jobId": job_id, "error": job["error"]})
    with Engine.start(data_dir) as engine:
        assert engine.post(f"/v1/jobs/{job_id}/retry").json()["data"]["retrying"] == 60 - len(known)
        assert engine.wait(job_id)["status"] == "completed"
        pages = engine.results(job_id)
        assert pages[: len(known)] == known and sorted(page["url"] for page in pages) == sorted(site.urls(60))
