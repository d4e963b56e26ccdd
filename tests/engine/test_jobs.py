"""The life of jobs, seen from outside: order, cancelling, retrying, crawling."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import Any

from engine_server import Engine
from site_server import Site


def until(engine: Engine, job_id: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first of the job's progress events that is enough."""
    for name, data, _ in engine.events(job_id):
        if name == "progress" and enough(data):
            return dict(data)
    raise AssertionError("the stream ended before that")


def urls_of(pages: list[dict[str, Any]]) -> list[str]:
    return [page["url"] for page in pages]


def test_a_batch_in_order_of_completion(engine: Engine, site: Site) -> None:
    site.gates |= {path: threading.Event() for path in ("/0", "/1")}
    job_id = engine.submit({"urls": site.urls(6), "batchConcurrency": 3})
    for path, before in (("/1", 4), ("/0", 5)):
        until(engine, job_id, lambda progress, before=before: progress["completed"] == before)  # type: ignore[misc]
        site.gates[path].set()
    job = engine.wait(job_id)
    assert (job["status"], job["mode"], job["total"], job["completed"], job["failed"]) == (
        "completed",
        "batch",
        6,
        6,
        0,
    )
    assert job["creditsUsed"] == 6 and job["error"] is None
    assert job["createdAt"] <= job["startedAt"] <= job["completedAt"]
    urls = urls_of(engine.results(job_id))
    assert sorted(urls) == sorted(site.urls(6))
    assert urls[-2:] == [f"{site.url}/1", f"{site.url}/0"]


def test_a_url_that_is_submitted_twice_is_read_twice(engine: Engine, site: Site) -> None:
    job = engine.wait(job_id := engine.submit({"urls": site.urls(1) * 3}))
    assert job["completed"] == 3 and urls_of(engine.results(job_id)) == site.urls(1) * 3


def test_a_retry_replaces_each_failure_where_it_stands(engine: Engine, site: Site) -> None:
    site.broken |= {"/1", "/3"}
    job_id = engine.submit({"urls": site.urls(5)})
    assert engine.wait(job_id)["failed"] == 2
    before = engine.results(job_id)
    assert {page["url"] for page in before if "error" in page} == {f"{site.url}/1", f"{site.url}/3"}

    site.broken.remove("/1")
    site.gate.clear()
    answer = engine.post(f"/v1/jobs/{job_id}/retry").json()["data"]
    assert answer == {"id": job_id, "status": "queued", "retrying": 2}
    assert engine.results(job_id) == before, "old errors stay readable until the new outcome is known"
    assert engine.job(job_id)["completed"] == 3
    site.gate.set()
    job = engine.wait(job_id)
    after = engine.results(job_id)
    assert (job["completed"], job["failed"], job["creditsUsed"]) == (5, 1, 4)
    assert urls_of(after) == urls_of(before)
    assert next(page for page in after if page["url"] == f"{site.url}/3")["error"]
    good = [page for page in before if "error" not in page]
    assert [page for page in after if page in good] == good
    assert site.hits["/0"] == 1


def test_there_must_be_something_to_retry(engine: Engine, site: Site) -> None:
    job_id = engine.submit({"urls": site.urls(1)})
    engine.wait(job_id)
    answer = engine.post(f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_of_two_retries_at_once_one_wins(engine: Engine, site: Site) -> None:
    site.broken |= {"/0", "/1"}
    job_id = engine.submit({"urls": site.urls(3)})
    engine.wait(job_id)
    site.broken.clear()
    site.gate.clear()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(lambda _: engine.post(f"/v1/jobs/{job_id}/retry").status_code, range(6)))
    assert codes == [200] + [409] * 5
    site.gate.set()
    assert engine.wait(job_id)["failed"] == 0
    assert sorted(urls_of(engine.results(job_id))) == sorted(site.urls(3))


def test_cancelling_freezes_the_results_at_once(engine: Engine, site: Site) -> None:
    site.slow |= {f"/{number}": 30.0 for number in range(2, 6)}
    job_id = engine.submit({"urls": site.urls(20), "batchConcurrency": 4})
    until(engine, job_id, lambda progress: progress["completed"] == 2)
    began = time.monotonic()
    answer = engine.client.delete(f"/v1/jobs/{job_id}")
    assert answer.json()["data"] == {"id": job_id, "status": "cancelled"}
    assert [name for name, _, _ in engine.events(job_id)] == ["progress", "done"]
    assert time.monotonic() - began < 1
    frozen = engine.get(f"/v1/jobs/{job_id}").json()
    assert frozen["data"]["status"] == "cancelled" and frozen["data"]["completed"] == 2
    assert site.hits["/6"] == 0, "no new URL is started"
    conflict = engine.client.delete(f"/v1/jobs/{job_id}")
    assert (conflict.status_code, conflict.json()["error"]["details"]) == (409, {"status": "cancelled"})
    assert engine.get(f"/v1/jobs/{job_id}").json() == frozen
    assert engine.post(f"/v1/jobs/{job_id}/retry").status_code == 400


def test_nothing_in_flight_lands_after_a_cancellation(engine: Engine, site: Site) -> None:
    """Many jobs, cancelled just when their pages come in."""
    site.gate.clear()
    jobs = [engine.submit({"urls": site.urls(20)}) for _ in range(6)]
    site.gate.set()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda job_id: engine.client.delete(f"/v1/jobs/{job_id}"), jobs))
    frozen = {job_id: engine.results(job_id) for job_id in jobs}
    other = engine.submit({"urls": site.urls(20)})
    engine.wait(other)
    for job_id in jobs:
        job = engine.job(job_id)
        assert engine.results(job_id) == frozen[job_id]
        assert job["status"] == "completed" or job["completed"] == len(frozen[job_id])


def test_cancelling_a_retry_loses_no_url(engine: Engine, site: Site) -> None:
    site.broken |= {"/0", "/1", "/2"}
    job_id = engine.submit({"urls": site.urls(4), "batchConcurrency": 1})
    engine.wait(job_id)
    order = urls_of(engine.results(job_id))
    site.broken.clear()
    site.slow["/1"] = 30.0
    engine.post(f"/v1/jobs/{job_id}/retry")
    until(engine, job_id, lambda progress: progress["completed"] == 2)
    engine.client.delete(f"/v1/jobs/{job_id}")
    job = engine.job(job_id)
    assert (job["status"], job["completed"], job["failed"], job["total"]) == ("cancelled", 4, 2, 4)
    site.slow.clear()
    assert engine.post(f"/v1/jobs/{job_id}/retry").json()["data"]["retrying"] == 2
    assert engine.wait(job_id)["failed"] == 0
    assert urls_of(engine.results(job_id)) == order


def test_retrying_a_cancelled_job_leaves_out_what_never_started(engine: Engine, site: Site) -> None:
    site.broken.add("/0")
    site.slow["/1"] = 30.0
    job_id = engine.submit({"urls": site.urls(9), "batchConcurrency": 1})
    until(engine, job_id, lambda progress: progress["completed"] == 1)
    engine.client.delete(f"/v1/jobs/{job_id}")
    assert engine.job(job_id)["total"] == 9
    site.broken.clear()
    assert engine.post(f"/v1/jobs/{job_id}/retry").json()["data"]["retrying"] == 1
    job = engine.wait(job_id)
    assert (job["status"], job["completed"], job["total"], job["failed"]) == ("completed", 1, 1, 0)


def test_a_crawl_keeps_to_its_host_its_depth_and_its_pages(engine: Engine, site: Site) -> None:
    site.links |= {
        "/": ["/a", "/b", "/a#part", "http://elsewhere.example/", "mailto:a@b.c"],
        "/a": ["/", "/deep"],
        "/deep": ["/too-deep"],
    }
    job = engine.wait(job_id := engine.submit({"url": site.url + "/", "maxDepth": 2}))
    assert (job["mode"], job["status"], job["total"], job["completed"]) == ("crawl", "completed", 4, 4)
    assert sorted(urls_of(engine.results(job_id))) == [site.url + path for path in ("/", "/a", "/b", "/deep")]
    job = engine.wait(job_id := engine.submit({"url": site.url + "/", "maxPages": 2}))
    assert (job["total"], len(engine.results(job_id))) == (2, 2)


def test_a_retried_start_page_lets_the_crawl_go_on(engine: Engine, site: Site) -> None:
    site.links["/"] = ["/a"]
    site.broken.add("/")
    job = engine.wait(job_id := engine.submit({"url": site.url + "/", "maxDepth": 3}))
    assert (job["completed"], job["failed"]) == (1, 1)
    site.broken.clear()
    engine.post(f"/v1/jobs/{job_id}/retry")
    job = engine.wait(job_id)
    assert (job["completed"], job["failed"], job["total"]) == (2, 0, 2)
    assert urls_of(engine.results(job_id)) == [site.url + "/", site.url + "/a"]


def test_links_that_a_crawl_had_no_room_for_are_no_failures(engine: Engine, site: Site) -> None:
    site.links["/"] = ["/a", "/b", "/c", "/d"]
    site.broken.add("/a")
    job = engine.wait(job_id := engine.submit({"url": site.url + "/", "maxPages": 2}))
    assert (job["completed"], job["failed"]) == (2, 1)
    site.broken.clear()
    assert engine.post(f"/v1/jobs/{job_id}/retry").json()["data"]["retrying"] == 1
    job = engine.wait(job_id)
    assert (job["completed"], job["failed"], job["total"]) == (2, 0, 2)
    assert urls_of(engine.results(job_id)) == [site.url + "/", site.url + "/a"]
    assert engine.post(f"/v1/jobs/{job_id}/retry").status_code == 400


def test_a_retried_page_that_turns_out_to_be_another_keeps_its_place(engine: Engine, site: Site) -> None:
    site.links["/"] = ["/a", "/b"]
    site.broken |= {"/a", "/b"}
    job_id = engine.submit({"url": site.url + "/", "maxDepth": 1})
    assert engine.wait(job_id)["failed"] == 2
    site.broken.clear()
    site.moved["/a"] = "/b"
    engine.post(f"/v1/jobs/{job_id}/retry")
    job = engine.wait(job_id)
    assert (job["completed"], job["failed"], job["total"]) == (3, 0, 3)
    assert not [page for page in engine.results(job_id) if "error" in page]


def test_a_job_is_queued_until_a_page_of_it_can_be_read(engine: Engine, site: Site) -> None:
    site.gate.clear()
    crowd = [engine.submit({"urls": site.urls(20), "batchConcurrency": 20}) for _ in range(2)]
    deadline = time.monotonic() + 20
    while site.hits.total() < engine.get("/v1/queue/status").json()["data"]["maxConcurrency"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    cancelled, kept = (engine.submit({"urls": [site.url + path]}) for path in ("/cancelled", "/kept"))
    assert engine.get("/v1/queue/status").json()["data"]["waitingJobs"] == 2
    assert engine.client.delete(f"/v1/jobs/{cancelled}").json()["data"]["status"] == "cancelled"
    job = engine.job(kept)
    assert (job["status"], job["startedAt"]) == ("queued", None)
    for job_id in crowd:
        engine.client.delete(f"/v1/jobs/{job_id}")
    site.gate.set()
    assert engine.wait(kept)["completed"] == 1 and site.hits["/cancelled"] == 0


def test_a_long_job_does_not_hold_up_a_short_one(engine: Engine, site: Site) -> None:
    site.delay = 0.05
    crowd = [engine.submit({"urls": site.urls(300), "batchConcurrency": 20}) for _ in range(3)]
    began = time.monotonic()
    engine.wait(engine.submit({"urls": [site.url + "/quick"]}))
    assert time.monotonic() - began < 3
    assert engine.get("/v1/queue/status").json()["data"]["activeJobs"] == 3
    for job_id in crowd:
        engine.client.delete(f"/v1/jobs/{job_id}")
