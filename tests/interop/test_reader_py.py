"""The public package reader-py, unmodified, against the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine_server import Engine
from reader_py import ReaderClient
from reader_py.errors import ConflictError, InvalidRequestError, NotFoundError, UnauthenticatedError
from site_server import Site


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine.start(tmp_path_factory.mktemp("engine") / "data") as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


@pytest.fixture
def client(engine: Engine) -> Iterator[ReaderClient]:
    with ReaderClient(api_key=engine.key, base_url=engine.url) as client:
        yield client


def test_read_one_page(client: ReaderClient, site: Site) -> None:
    site.moved["/old"] = "/new"
    result = client.read(url=site.url + "/old", formats=["markdown", "html"], timeout_ms=5000, proxy_mode="standard")
    assert result.kind == "scrape"
    assert result.data.final_url == site.url + "/new" and result.data.html
    assert "This is the page /new" in (result.data.markdown or "")
    assert result.data.metadata.title == "Page /new" and result.data.metadata.status_code == 200


def test_read_many_pages(client: ReaderClient, site: Site) -> None:
    site.broken.add("/1")
    result = client.read(urls=site.urls(120), batch_concurrency=20)
    assert result.kind == "job"
    job = result.data
    assert (job.status, job.mode, job.completed, job.total, job.credits_used) == ("completed", "batch", 120, 120, 119)
    assert sorted(page.url for page in job.results) == sorted(site.urls(120))
    assert [page.url for page in job.results if page.error] == [f"{site.url}/1"]


def test_read_a_crawl(client: ReaderClient, site: Site) -> None:
    site.links["/"] = ["/a", "/b"]
    job = client.read(url=site.url + "/", max_depth=2, max_pages=10).data
    assert (job.mode, job.total) == ("crawl", 3) and len(job.results) == 3


def test_follow_cancel_retry(client: ReaderClient, engine: Engine, site: Site) -> None:
    site.broken |= {"/0", "/1"}
    site.slow["/3"] = 30.0
    job_id = engine.submit({"urls": site.urls(4), "batchConcurrency": 1})
    types = []
    for event in client.stream(job_id):
        types.append(event.type)
        if event.type == "progress" and (event.status, event.completed) == ("processing", 3):
            client.cancel_job(job_id)
    assert types[0] == "progress" and types[-1] == "done"
    assert client.wait_for_job(job_id).status == "cancelled"
    with pytest.raises(ConflictError):
        client.cancel_job(job_id)

    site.broken.clear()
    assert client.retry_job(job_id) == {"id": job_id, "status": "queued", "retrying": 2}
    job = client.wait_for_job(job_id, poll_interval=1)
    assert job.status == "completed" and not any(page.error for page in job.results)
    page, more = client.get_job(job_id, skip=0, limit=1)
    assert len(page.results) == 1 and more
    assert len(client.get_all_job_results(job_id)) == 3
    with pytest.raises(InvalidRequestError):
        client.retry_job(job_id)


def test_accounts_and_errors(client: ReaderClient, engine: Engine) -> None:
    credits = client.get_credits()
    assert credits.tier == "local" and credits.balance + credits.used == credits.limit
    assert client.get_queue_status().max_concurrency > 0
    with pytest.raises(NotFoundError) as missing:
        client.get_job("job_missing")
    assert missing.value.request_id and missing.value.docs_url
    with pytest.raises(UnauthenticatedError), ReaderClient(api_key="rdr_wrong", base_url=engine.url) as stranger:
        stranger.get_credits()


def test_the_stream_tells_every_page(client: ReaderClient, engine: Engine, site: Site) -> None:
    site.broken.add("/5")
    site.gate.clear()
    job_id = engine.submit({"urls": site.urls(30)})
    urls = []
    for event in client.stream(job_id):
        site.gate.set()
        if event.type == "page":
            urls.append(event.data.url)
        elif event.type == "error":
            urls.append(event.url)
    assert sorted(urls) == sorted(site.urls(30))
