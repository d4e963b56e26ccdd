"""Requests against a server on a real socket: errors, retries, and what a lost answer means."""

from __future__ import annotations

import time as real_time

import fake_faults as faults
import pytest
from clocks import Skipping
from fake_jobs import FakeJob, make_failure, make_page, make_pages
from fake_server import FakeServer

from reader_cli.client.api import Client
from reader_cli.errors import ApiError, ConfigError, ExitCode, MaybeAccepted, ReaderError, Unreachable
from reader_cli.models import HTTP_STATUS, ErrorCode

PASSING = [  # what goes wrong once, and no more when asked again
    faults.drop,
    faults.cut(20),
    faults.cut(250),
    faults.html(502),
    faults.html(429, {"retry-after": "2"}),
    faults.reply(503),
    faults.reply(200, b"<html>welcome to this hotel</html>", {"content-type": "text/html"}),
    faults.reply(200, b'{"success": true, "data": [1]}'),
    faults.reply(200, b'{"success": true, "data": {"id": "j", "status": "queued"}, "pagination": {}}'),
    faults.refuse(500, "internal_error"),
    faults.refuse(502, "upstream_unavailable"),
    faults.refuse(504, "scrape_timeout", {"timeoutMs": 1000}),
    faults.rate_limited(3),
    faults.refuse(429, "rate_limited", {"retryAfterSeconds": 3}),
    faults.refuse(599, "a_code_of_tomorrow"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_a_request_survives_what_passes(fault: faults.Fault, client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(3))
    server.inject(fault, times=2)
    assert client.get_job(job.id).job["id"] == job.id
    assert len(server.requests) == 3


def test_retry_after_is_honoured_and_limited(client: Client, server: FakeServer, time: Skipping) -> None:
    server.inject(faults.rate_limited(3))
    client.credits()
    assert 3 <= time.slept[0] < 4
    server.inject(faults.rate_limited(3600))
    with pytest.raises(ApiError) as caught:
        client.credits()
    assert caught.value.exit_code == ExitCode.UNREACHABLE and len(time.slept) == 1


@pytest.mark.parametrize("code", [*ErrorCode, "a_code_of_tomorrow"])
def test_every_code_is_an_error_with_all_that_came_with_it(
    code: str, client: Client, server: FakeServer, time: Skipping
) -> None:
    status = HTTP_STATUS.get(code, 418)  # type: ignore[call-overload]
    server.inject(faults.refuse(status, code, {"url": "http://x", "status": "completed"}), times=100)
    with pytest.raises(ApiError) as caught:
        client.queue()
    error = caught.value
    assert (error.code, error.status, error.request_id) == (code, status, "req_fake")
    assert error.docs_url == f"https://docs.test/errors/{code}" and error.details["url"] == "http://x"
    assert (len(server.requests) > 1) == (status >= 500 or code == "rate_limited")
    assert time.clock and sum(time.slept) <= client.patience


def test_the_issues_of_a_request_are_told(client: Client, server: FakeServer) -> None:
    issues = [{"path": ["urls", 3], "message": "not a URL"}, {"path": "formats", "code": "x", "message": "unknown"}]
    server.inject(faults.refuse(400, "invalid_request", {"issues": issues}))
    with pytest.raises(ApiError) as caught:
        client.submit({"urls": []}, "k")
    assert caught.value.hint == "urls.3: not a URL; formats: unknown"


@pytest.mark.parametrize("fault", [faults.drop, faults.html(502), faults.cut(60)])
def test_what_does_not_pass_ends_as_unreachable(
    fault: faults.Fault, client: Client, server: FakeServer, time: Skipping
) -> None:
    server.inject(fault, times=1000)
    with pytest.raises(Unreachable) as caught:
        client.credits()
    assert caught.value.exit_code == ExitCode.UNREACHABLE and str(server.port) in caught.value.message
    assert 5 < sum(time.slept) <= 15


@pytest.mark.parametrize("fault", [faults.silent, faults.trickle(0.1)])
def test_silence_and_trickle_are_given_up(fault: faults.Fault, server: FakeServer) -> None:
    server.inject(fault, times=10)
    with Client(server.url, server.key, patience=0.3) as client, pytest.raises(Unreachable):
        client.credits()


def test_a_name_that_does_not_resolve(time: Skipping) -> None:
    nowhere = Client("http://reader.invalid", "k", clock=time.clock, sleep=time.sleep, patience=2)
    with nowhere as client, pytest.raises(Unreachable, match=r"reader\.invalid"):
        client.submit({"urls": ["http://a.test"]}, "key-1")


def test_a_connection_that_was_closed_meanwhile_is_no_failure(
    client: Client, server: FakeServer, time: Skipping
) -> None:
    for _ in range(3):
        client.credits()
        server.drop_connections()
        real_time.sleep(0.05)
    assert not time.slept


def test_a_redirect_is_not_followed_and_the_key_stays(client: Client, server: FakeServer) -> None:
    with FakeServer() as other:
        server.inject(faults.reply(302, headers={"location": f"{other.url}/v1/usage/credits"}), times=9)
        with pytest.raises(Unreachable, match="redirects"):
            client.credits()
        assert not other.requests and len(server.requests) == 1


def test_a_401_without_words_is_about_the_key(client: Client, server: FakeServer) -> None:
    server.inject(faults.html(401))
    with pytest.raises(ApiError) as caught:
        client.credits()
    assert caught.value.exit_code == ExitCode.AUTH


@pytest.mark.parametrize("key", ["rdr_secret\n", "rdr_sécret", " rdr_secret"])
def test_a_key_that_is_no_header_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Client("http://127.0.0.1:9", key)
    assert "cret" not in caught.value.message


def test_a_local_engine_is_brought_back(server: FakeServer, time: Skipping) -> None:
    gone = FakeServer()
    gone.stop()
    revived = []

    def revive() -> tuple[str, str]:
        revived.append(1)
        return server.url, server.key

    with Client(gone.url, "old", clock=time.clock, sleep=time.sleep, revive=revive) as client:
        assert client.credits()["tier"] == "free"
    assert revived == [1]


@pytest.mark.parametrize("fault", [faults.lose_answer, faults.drop, faults.html(504), faults.cut(150)])
def test_a_submission_whose_answer_is_lost_starts_one_job(
    fault: faults.Fault, client: Client, server: FakeServer
) -> None:
    server.inject(fault, times=2)
    job = client.submit({"urls": ["http://a.test"]}, "key-1")
    assert list(server.jobs) == [job["id"]]
    assert {request.headers["x-idempotency-key"] for request in server.requests} == {"key-1"}


@pytest.mark.parametrize(
    "fault", [faults.lose_answer, faults.reply(201, b'{"success": true, "data": {"id": "", "status": "queued"}}')]
)
def test_a_submission_that_stays_unanswered_may_be_accepted(
    fault: faults.Fault, client: Client, server: FakeServer
) -> None:
    server.inject(fault, times=1000)
    with pytest.raises(MaybeAccepted):
        client.submit({"urls": ["http://a.test"]}, "key-1")


def test_a_refusal_after_a_lost_answer_settles_nothing(client: Client, server: FakeServer) -> None:
    server.inject(faults.lose_answer)
    server.inject(faults.refuse(429, "concurrency_limited"))
    with pytest.raises(MaybeAccepted):
        client.submit({"urls": ["http://a.test"]}, "key-1")
    server.inject(faults.lose_answer)
    server.inject(faults.rate_limited(1))
    assert client.submit({"urls": ["http://a.test"]}, "key-2")["id"] in server.jobs


@pytest.mark.parametrize("code", [ErrorCode.RATE_LIMITED, ErrorCode.INTERNAL_ERROR, ErrorCode.INSUFFICIENT_CREDITS])
def test_a_refused_submission_is_not_repeated_with_its_key(code: ErrorCode, client: Client, server: FakeServer) -> None:
    server.inject(faults.refuse(HTTP_STATUS[code], code))
    with pytest.raises(ApiError) as caught:
        client.submit({"urls": ["http://a.test"]}, "key-1")
    assert caught.value.code == code and len(server.requests) == 1


def test_a_submission_that_never_left_was_not_accepted(time: Skipping) -> None:
    gone = FakeServer()
    gone.stop()
    with Client(gone.url, "k", clock=time.clock, sleep=time.sleep) as client, pytest.raises(Unreachable):
        client.submit({"urls": ["http://a.test"]}, "key-1")


@pytest.mark.parametrize(
    "fault", [faults.lose_answer, faults.drop, faults.html(502), faults.refuse(500, "internal_error")]
)
def test_a_cancellation_is_never_blindly_repeated(fault: faults.Fault, client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(3))
    server.inject(fault, match="DELETE")
    assert client.cancel(job.id) == {"id": job.id, "status": "cancelled"}
    assert job.status == "cancelled"


def test_cancelling_what_ended_is_a_conflict(client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(0))
    job.end()
    server.inject(faults.drop, match="DELETE")
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            client.cancel(job.id)
        assert caught.value.exit_code == ExitCode.CONFLICT and f"reader status {job.id}" in caught.value.hint


@pytest.mark.parametrize("fault", [faults.lose_answer, faults.drop, faults.html(502)])
def test_a_retry_whose_answer_is_lost_runs_once(fault: faults.Fault, client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(2))
    for page in make_pages(2, failing=[1]):
        job.finish(page)
    job.end()
    server.inject(fault, match="POST")
    answer = client.retry(job.id)
    assert (answer["status"], answer["retrying"]) == ("queued", 1)
    assert server.count("/retry") == (1 if fault is faults.lose_answer else 2)


def test_a_retry_that_was_over_before_we_looked_took_place(client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(1))
    job.finish(make_failure(0))
    job.end()

    def retry_and_lose(exchange: faults.Exchange) -> None:
        exchange.answer()
        job.replace(0, make_page(0))
        job.end()
        exchange.close()

    server.inject(retry_and_lose, match="POST")
    assert client.retry(job.id)["status"] == "completed"
    assert server.count("/retry") == 1


def test_nothing_to_retry_is_the_servers_word(client: Client, server: FakeServer) -> None:
    job = server.add(FakeJob(0))
    job.end()
    with pytest.raises(ApiError) as caught:
        client.retry(job.id)
    assert caught.value.code == ErrorCode.INVALID_REQUEST


def test_an_id_cannot_lead_to_another_path(client: Client, server: FakeServer) -> None:
    with pytest.raises(ReaderError):
        client.get_job("../usage/credits?")
    assert str(server.requests[0]).startswith("GET /v1/jobs/..%2Fusage%2Fcredits%3F")
