"""The hosted service's limits, enforced by an engine that is told to: what scripts can be tried against."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from engine_server import Engine
from running import reader
from site_server import Site


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_requests_a_minute(data_dir: Path, site: Site) -> None:
    with Engine.start(data_dir, "--rpm", "4") as engine:
        job_id = engine.submit({"urls": site.urls(1)})
        for _ in range(10):
            assert [name for name, _, _ in engine.events(job_id)][-1] == "done", "streams cost nothing"
            assert httpx.get(engine.url + "/v1/queue/status", trust_env=False).status_code == 401
            assert engine.get("/demo/").status_code == 200
        assert [engine.get(f"/v1/jobs/{job_id}").status_code for _ in range(3)] == [200] * 3
        answer = engine.get(f"/v1/jobs/{job_id}")
        error = error_of(answer, 429)
        wait = int(answer.headers["retry-after"])
        assert error["code"] == "rate_limited" and 1 <= wait <= 60
        assert error["details"] == {"limit": 4, "windowSeconds": 60, "retryAfterSeconds": wait}


def test_active_jobs(data_dir: Path, site: Site) -> None:
    site.broken.add("/0")
    with Engine.start(data_dir, "--tier", "pro", "--max-active-jobs", "2") as engine:
        assert engine.get("/v1/usage/credits").json()["data"]["tier"] == "pro"
        failed = engine.submit({"urls": site.urls(1)})
        engine.wait(failed)
        site.gate.clear()
        same = {"x-idempotency-key": "same"}
        jobs = [engine.submit({"urls": site.urls(1)}), engine.submit({"urls": site.urls(2)}, headers=same)]
        assert engine.submit({"urls": site.urls(2)}, headers=same) == jobs[1], "a repetition is no third job"
        queue = engine.get("/v1/queue/status").json()["data"]
        assert queue["activeJobs"] + queue["waitingJobs"] == queue["maxConcurrency"] == 2
        for path, body in (("/v1/read", {"urls": site.urls(1)}), (f"/v1/jobs/{failed}/retry", None)):
            answer = engine.post(path, body)
            error = error_of(answer, 429)
            assert (error["code"], error["details"]) == ("concurrency_limited", {"active": 2, "max": 2})
            assert "retry-after" not in answer.headers
        engine.client.delete(f"/v1/jobs/{jobs[0]}")
        engine.post(f"/v1/jobs/{failed}/retry").raise_for_status()
        site.gate.set()


def test_credits(data_dir: Path, site: Site) -> None:
    with Engine.start(data_dir, "--credits", "10") as engine:
        site.gate.clear()
        job_id = engine.submit({"urls": site.urls(4)})
        too_much: list[dict[str, Any]] = [
            {"urls": site.urls(7)},
            {"urls": site.urls(3), "proxyMode": "premium"},
            {"url": site.url, "maxPages": 7},
        ]
        for body, required in zip(too_much, (7, 9, 7), strict=True):
            error = error_of(engine.post("/v1/read", body), 402)
            assert error["code"] == "insufficient_credits"
            account = engine.get("/v1/usage/credits").json()["data"]
            assert error["details"] == {"required": required, "available": 6, "resetAt": account["resetAt"]}
        site.gate.set()
        engine.wait(job_id)
        account = engine.get("/v1/usage/credits").json()["data"]
        assert (account["balance"], account["limit"], account["used"]) == (6, 10, 4)
        key = {"x-idempotency-key": "all"}
        rest = engine.submit({"urls": [f"{site.url}/rest/{n}" for n in range(4)]}, headers=key)
        engine.wait(rest)
        assert engine.submit({"urls": site.urls(6)}, headers=key) == rest, "what was accepted is not refused"
        site.gate.clear()
        with ThreadPoolExecutor(4) as pool:
            scrapes = [pool.submit(engine.post, "/v1/read", {"url": f"{site.url}/one/{n}"}) for n in range(4)]
            refused = [scrape.result() for scrape in islice(as_completed(scrapes), 2)]
            site.gate.set()
        assert [error_of(answer, 402)["details"]["available"] for answer in refused] == [0, 0]
        assert sorted(scrape.result().status_code for scrape in scrapes) == [200, 200, 402, 402]
        assert error_of(engine.post("/v1/read", {"url": site.url}), 402)["details"]["available"] == 0


def test_a_run_of_3000_urls_goes_through_two_jobs_at_a_time(tmp_path: Path, home: dict[str, str], site: Site) -> None:
    site.bodies |= {f"/{number}": ("text/plain", b"a page") for number in range(3000)}
    (file := tmp_path / "urls.txt").write_text("\n".join(site.urls(3000)))
    with Engine.start(tmp_path / "data", "--max-active-jobs", "2") as engine:
        environ = home | {"READER_API_URL": engine.url, "READER_API_KEY": engine.key}
        done = reader("submit", "-f", str(file), "--wait", "--results", "--concurrency", "20", environ=environ)
        assert done.code == 0, done.err
        assert "takes no more jobs (2 at once)" in done.err
        assert sorted(page["url"] for page in done.objects) == sorted(site.urls(3000))
        broke = reader("submit", "--crawl", site.url, "--json", environ=environ | {"READER_API_KEY": "rdr_other"})
        assert broke.code == 6


def test_a_command_waits_as_long_as_it_is_told_to(tmp_path: Path, home: dict[str, str], site: Site) -> None:
    """The last of the minute's requests is seconds old when the next one is free again."""
    shorter = "from reader_cli.engine import limits; limits.WINDOW_SECONDS = 3"
    with Engine.start(tmp_path / "data", "--rpm", "2", "--credits", "1", prelude=shorter) as engine:
        environ = home | {"READER_API_URL": engine.url, "READER_API_KEY": engine.key}
        assert [engine.get("/v1/queue/status").status_code for _ in range(3)] == [200, 200, 429]
        began = time.monotonic()
        assert reader("credits", "--json", environ=environ).objects[0]["limit"] == 1
        assert time.monotonic() - began > 1
        poor = reader("submit", *site.urls(2), "--json", environ=environ)
        assert poor.code == 6 and "insufficient_credits" in poor.err
