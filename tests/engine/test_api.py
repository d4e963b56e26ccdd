"""The engine's answers as such: key, ids, envelope, validation, lists, idempotency keys, accounts."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import re
import socket
from typing import Any

import httpx
import pytest
from engine_server import Engine
from site_server import Site

from reader_cli.models import HTTP_STATUS, ErrorCode


def refused(answer: httpx.Response, code: str, status: int | None = None) -> dict[str, Any]:
    """Checks the envelope and returns the error's details."""
    assert answer.status_code == (status or HTTP_STATUS[ErrorCode(code)]), answer.text
    body = answer.json()
    assert body["success"] is False
    assert body["error"]["code"] == code and body["error"]["message"] and body["error"]["docsUrl"]
    assert answer.headers["x-request-id"].startswith("req_")
    details: dict[str, Any] = body["error"].get("details", {})
    return details


@pytest.mark.parametrize("key", [None, "", "rdr_wrong", "schlüssel"])
def test_without_the_key_nothing_is_told(engine: Engine, key: str | None) -> None:
    headers = {} if key is None else {"x-api-key": key.encode()}
    for path in ("/v1/queue/status", "/v1/jobs/any/stream", "/v1/nothing"):
        refused(httpx.get(engine.url + path, headers=headers, trust_env=False), "unauthenticated")


def test_every_answer_has_an_id_of_its_own(engine: Engine) -> None:
    answers = [engine.get("/v1/queue/status"), engine.get("/v1/queue/status"), engine.get("/v1/nothing")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


def test_what_is_not_there(engine: Engine) -> None:
    refused(engine.get("/v1/nothing"), "not_found")
    for answer in (
        engine.get("/v1/jobs/job_x"),
        engine.get("/v1/jobs/job_x/stream"),
        engine.client.delete("/v1/jobs/job_x"),
        engine.post("/v1/jobs/job_x/retry"),
    ):
        refused(answer, "not_found")
    refused(wrong := engine.client.put("/v1/read"), "invalid_request", 405)
    assert wrong.headers["allow"] == "POST"


def test_what_is_no_http(engine: Engine) -> None:
    with socket.create_connection((engine.client.base_url.host, engine.client.base_url.port or 0)) as connection:
        connection.sendall(b"HELO there\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        refused(httpx.Response(answer.status, headers=dict(answer.headers), content=answer.read()), "invalid_request")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b" " * (17 << 20)])
def test_a_body_that_is_no_object(engine: Engine, body: bytes) -> None:
    refused(engine.client.post("/v1/read", content=body), "invalid_request")


ONE = {"url": "http://example.com/"}
MANY = {"urls": ["http://example.com/"]}
WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"url"}),
    ({"urls": []}, {"urls"}),
    ({"urls": ["http://example.com/"] * 1001}, {"urls"}),
    ({"urls": ["ftp://a/", "http://b/", None, "http://"]}, {"urls.0", "urls.2", "urls.3"}),
    ({"url": "file:///etc/passwd"}, {"url"}),
    ({"url": "http://a/" + "x" * 9000}, {"url"}),
    (ONE | MANY, {"url"}),
    (MANY | {"maxPages": 2}, {"maxPages"}),
    (ONE | {"maxDepth": 0, "maxPages": 10_001}, {"maxDepth", "maxPages"}),
    (ONE | {"maxDepth": 11, "maxPages": 0}, {"maxDepth", "maxPages"}),
    (ONE | {"timeoutMs": 999}, {"timeoutMs"}),
    (ONE | {"timeoutMs": 120_001}, {"timeoutMs"}),
    (ONE | {"timeoutMs": 1500.5, "cache": "yes", "onlyMainContent": 1}, {"timeoutMs", "cache", "onlyMainContent"}),
    (MANY | {"batchConcurrency": 21, "maxConcurrency": 0}, {"batchConcurrency", "maxConcurrency"}),
    (MANY | {"batchConcurrency": True}, {"batchConcurrency"}),
    (ONE | {"formats": []}, {"formats"}),
    (ONE | {"formats": ["markdown", "pdf"]}, {"formats.1"}),
    (ONE | {"includeTags": "main", "excludeTags": [1]}, {"includeTags", "excludeTags.0"}),
    (ONE | {"proxyMode": "fast", "waitForSelector": ""}, {"proxyMode", "waitForSelector"}),
    (ONE | {"extract": {"prompt": "the price"}}, {"extract"}),
    (MANY | {"webhook": "http://a/"}, {"webhook"}),
    (MANY | {"webhook": {"events": ["job.page", "x"], "url": "x"}}, {"webhook.url", "webhook.events.1"}),
    (MANY | {"webhook": {"secret": "short"}}, {"webhook.url", "webhook.secret"}),
    ({"urls": ["http://a/\udfff"], "includeTags": ["\ud800"]}, {"urls.0", "includeTags.0"}),
    (MANY | {"webhook": {"url": "http://a/", "secret": "\ud800" * 16}}, {"webhook.secret"}),
]


@pytest.mark.parametrize(("body", "paths"), WRONG)
def test_everything_that_is_wrong_is_told_at_once(engine: Engine, body: dict[str, Any], paths: set[str]) -> None:
    answer = engine.client.post("/v1/read", content=json.dumps(body))  # httpx's own cannot spell a lone surrogate
    issues = refused(answer, "invalid_request")["issues"]
    assert {issue["path"] for issue in issues} == paths
    assert all(issue["message"] for issue in issues)


def test_every_option_is_taken_and_unknown_keys_are_not_minded(engine: Engine, site: Site) -> None:
    options = {
        "formats": ["markdown", "html"], "onlyMainContent": False, "includeTags": ["main"], "excludeTags": [],
        "waitForSelector": None, "timeoutMs": 120_000, "proxyMode": "auto", "batchConcurrency": 20,
        "maxConcurrency": 1, "cache": False, "extract": None, "tomorrow": [1],
        "webhook": {"url": site.url, "events": ["job.completed"], "secret": "s" * 16},
    }  # fmt: skip
    job = engine.wait(engine.submit({"urls": site.urls(2)} | options))
    assert (job["status"], job["failed"]) == ("completed", 0)
    assert all("html" in page and "markdown" in page for page in engine.results(job["id"]))


def test_windows_of_results(engine: Engine, site: Site) -> None:
    job_id = engine.submit({"urls": site.urls(5)})
    engine.wait(job_id)
    answer = engine.get(f"/v1/jobs/{job_id}", params={"skip": 1, "limit": 3}).json()
    assert len(answer["data"]["results"]) == 3
    pagination = answer["pagination"]
    assert (pagination["total"], pagination["skip"], pagination["limit"], pagination["hasMore"]) == (5, 1, 3, True)
    rest = engine.get(pagination["next"]).json()
    assert len(rest["data"]["results"]) == 1 and not rest["pagination"]["hasMore"]
    assert engine.get(f"/v1/jobs/{job_id}", params={"skip": 9}).json()["data"]["results"] == []
    for wrong in (
        {"skip": "-1"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"skip": "1.0"},
        {"skip": "9" * 30},
    ):
        refused(engine.get(f"/v1/jobs/{job_id}", params=wrong), "invalid_request")


def test_one_idempotency_key_makes_one_job(engine: Engine, site: Site) -> None:
    def submit(key: str, body: dict[str, Any]) -> httpx.Response:
        return engine.post("/v1/read", body, headers={"x-idempotency-key": key})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bodies = {answer.content for answer in pool.map(lambda _: submit("same", {"urls": site.urls(3)}), range(8))}
    (first,) = bodies
    engine.wait(httpx.Response(200, content=first).json()["data"]["id"])
    again = submit("same", {"urls": site.urls(9)})
    assert (again.status_code, again.content) == (201, first)
    assert submit("other", {"urls": site.urls(3)}).content != first


def test_a_scrape_is_repeated_from_its_key_and_a_refusal_is_not(engine: Engine, site: Site) -> None:
    headers = {"x-idempotency-key": "scrape"}
    site.broken.add("/a")
    refused(engine.post("/v1/read", {"url": site.url + "/a"}, headers=headers), "upstream_unavailable")
    site.broken.clear()
    first = engine.post("/v1/read", {"url": site.url + "/a"}, headers=headers)
    hits = site.hits["/a"]
    again = engine.post("/v1/read", {"url": site.url + "/a"}, headers=headers)
    assert (first.status_code, again.status_code, first.content) == (200, 200, again.content)
    assert site.hits["/a"] == hits


def test_a_scrape(engine: Engine, site: Site) -> None:
    site.moved["/old"] = "/new"
    page = engine.post("/v1/read", {"url": site.url + "/old"}).json()["data"]
    assert (page["url"], page["finalUrl"]) == (site.url + "/old", site.url + "/new")
    assert "This is the page /new" in page["markdown"]
    metadata = page["metadata"]
    assert (metadata["title"], metadata["statusCode"], metadata["cached"]) == ("Page /new", 200, False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", metadata["scrapedAt"]) and metadata["duration"] >= 0


def test_a_page_that_was_just_read_comes_from_the_cache(engine: Engine, site: Site) -> None:
    before = engine.get("/v1/usage/credits").json()["data"]["used"]
    bodies = [{"url": site.url + "/a"}, {"url": site.url + "/a"}, {"url": site.url + "/a", "cache": False}]
    first, again, fresh = (engine.post("/v1/read", body).json()["data"] for body in bodies)
    assert [page["metadata"]["cached"] for page in (first, again, fresh)] == [False, True, False]
    assert again["markdown"] == first["markdown"] and site.hits["/a"] == 2
    assert engine.get("/v1/usage/credits").json()["data"]["used"] - before == 2


def test_scrapes_that_fail(engine: Engine, site: Site) -> None:
    site.slow["/slow"] = 5
    details = refused(engine.post("/v1/read", {"url": site.url + "/slow", "timeoutMs": 1000}), "scrape_timeout")
    assert details == {"timeoutMs": 1000}
    details = refused(engine.post("/v1/read", {"url": "http://169.254.169.254/"}), "url_blocked")
    assert details["url"] == "http://169.254.169.254/" and details["reason"]
    refused(engine.post("/v1/read", {"url": "http://127.0.0.1:1/"}), "upstream_unavailable")
    details = refused(engine.post("/v1/read", {"url": site.url + "/a", "includeTags": ["video"]}), "invalid_request")
    assert [issue["message"] for issue in details["issues"]] == ["no element matches video"]


def test_accounts(engine: Engine, site: Site) -> None:
    before = engine.get("/v1/usage/credits").json()["data"]
    site.broken.add("/1")
    engine.wait(engine.submit({"urls": site.urls(3)}))
    after = engine.get("/v1/usage/credits").json()["data"]
    assert after["used"] - before["used"] == 2
    assert after["balance"] == after["limit"] - after["used"] and after["tier"] == "local"
    answer = engine.get("/v1/usage/history", params={"limit": 3}).json()
    entries = {entry["url"]: entry for entry in answer["data"]}
    assert set(entries) == set(site.urls(3)) and answer["pagination"]["total"] >= 3
    failed = entries[f"{site.url}/1"]
    assert (failed["status"], failed["credits"], failed["cached"]) == ("error", 0, False) and failed["error"]
    queue = engine.get("/v1/queue/status").json()["data"]
    assert queue == {"activeJobs": 0, "waitingJobs": 0, "maxConcurrency": queue["maxConcurrency"]}
