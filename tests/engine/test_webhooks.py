"""Webhooks of the engine: registered, told, signed, tried again, and never lost."""

from __future__ import annotations

import concurrent.futures
import re
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine_server import Engine
from site_server import Site
from webhook_receiver import Receiver, is_genuine

from reader_cli.models import WEBHOOK_EVENTS

SECRET = "a secret of many characters"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def no_webhooks_stay(request: pytest.FixtureRequest) -> Iterator[None]:
    """The engine is one for the whole file, and a workspace's webhooks hear of every job."""
    yield
    if "engine" in request.fixturenames:
        engine: Engine = request.getfixturevalue("engine")
        for webhook in engine.get("/v1/webhooks").json()["data"]:
            engine.client.delete(f"/v1/webhooks/{webhook['id']}")


def create(engine: Engine, url: str, **fields: Any) -> dict[str, Any]:
    body = {"url": url, "name": "test", "events": list(WEBHOOK_EVENTS)} | fields
    answer = engine.post("/v1/webhooks", body)
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def stats(engine: Engine, webhook_id: str) -> dict[str, Any]:
    (found,) = [hook for hook in engine.get("/v1/webhooks").json()["data"] if hook["id"] == webhook_id]
    counted: dict[str, Any] = found["deliveryStats"]
    return counted


def settled(engine: Engine, webhook_id: str, attempts: int) -> dict[str, Any]:
    """The stats once they count so many tries: the receiver knows of the last one a moment before the engine does."""
    deadline = time.monotonic() + 30
    while (counted := stats(engine, webhook_id))["totalAttempts"] < attempts:
        assert time.monotonic() < deadline, counted
        time.sleep(0.02)
    return counted


def test_the_life_of_a_webhook(engine: Engine) -> None:
    made = create(engine, "http://127.0.0.1:1/a", secret=SECRET, headers={"X-Mine": "1"}, events=["job.failed"] * 2)
    assert made.pop("secret") == SECRET
    assert made["id"].startswith("wh_") and made["active"] is True and made["createdAt"] == made["updatedAt"]
    assert made["events"] == ["job.failed"] and made["headers"] == {"X-Mine": "1"}
    never = {"totalAttempts": 0, "failedDeliveries": 0, "lastDeliveryAt": None, "lastDeliveryStatus": None}
    assert made["deliveryStats"] == never
    second = create(engine, "http://127.0.0.1:1/b")
    assert "secret" not in second, "there is none"
    listed = engine.get("/v1/webhooks", params={"skip": 0, "limit": 1}).json()
    assert listed["data"] == [made]
    assert (listed["pagination"]["total"], listed["pagination"]["hasMore"]) == (2, True)
    assert SECRET not in engine.get("/v1/webhooks").text

    path = f"/v1/webhooks/{made['id']}"
    changes = {"name": "other", "url": "http://127.0.0.1:1/c", "events": ["job.page"], "headers": {}, "active": False}
    answer = engine.client.patch(path, json=changes | {"secret": SECRET + "!"})
    changed = answer.json()["data"]
    assert answer.status_code == 200 and "!" not in answer.text
    assert changed == made | changes | {"updatedAt": changed["updatedAt"]} and changed["updatedAt"] > made["updatedAt"]
    assert engine.client.patch(path, json={}).json()["data"]["name"] == "other"
    gone = engine.client.delete(path)
    assert (gone.status_code, gone.json()["data"]) == (200, {"id": made["id"]})
    for answer in (engine.client.delete(path), engine.client.patch(path, json={"name": "x"})):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_ten_are_enough(engine: Engine) -> None:
    def post(number: int) -> httpx.Response:
        body = {"url": f"http://127.0.0.1:1/{number}", "name": "n", "events": ["job.page"]}
        return engine.post("/v1/webhooks", body)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(13)))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 3
    refused = next(answer for answer in answers if answer.status_code == 409).json()["error"]
    assert (refused["code"], refused["details"]) == ("conflict", {"limit": 10})


GOOD = {"url": "http://127.0.0.1:1/", "name": "n", "events": ["job.page"]}
WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"url", "name", "events"}),
    (GOOD | {"url": "ftp://a/", "name": "n" * 101, "events": []}, {"url", "name", "events"}),
    (GOOD | {"events": ["job.page", "job.cancelled", 1], "secret": "s" * 15}, {"events.1", "events.2", "secret"}),
    (GOOD | {"secret": "s" * 257, "headers": ["x"], "name": ""}, {"secret", "headers", "name"}),
    (GOOD | {"headers": {"X-A": "b\r\nX-C: d", "X E": "f", "X-G": 1}}, {"headers.X-A", "headers.X E", "headers.X-G"}),
    (
        GOOD | {"headers": {"X-Reader-Signature": "sha256=0", "Content-Length": "0", "HOST": "elsewhere"}},
        {"headers.X-Reader-Signature", "headers.Content-Length", "headers.HOST"},
    ),
]


@pytest.mark.parametrize(("body", "paths"), WRONG)
def test_everything_that_is_wrong_is_told_at_once(engine: Engine, body: dict[str, Any], paths: set[str]) -> None:
    answer = engine.post("/v1/webhooks", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert {issue["path"] for issue in answer.json()["error"]["details"]["issues"]} == paths


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0xa9fea9fe", "[fe80::1]"])
def test_a_target_that_may_not_be_reached(engine: Engine, site: Site, host: str) -> None:
    webhook = create(engine, "http://127.0.0.1:1/")
    url = f"http://{host}/"
    for answer in (
        engine.post("/v1/webhooks", GOOD | {"url": url}),
        engine.client.patch(f"/v1/webhooks/{webhook['id']}", json={"url": url}),
        engine.post("/v1/read", {"urls": site.urls(1), "webhook": {"url": url}}),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["details"]["url"]) == (403, "url_blocked", url)
        assert error["details"]["reason"]


@pytest.mark.parametrize(("arguments", "status"), [([], 403), (["--allow-private"], 201)])
def test_an_engine_for_others_sends_nothing_to_private_addresses(
    data_dir: Path, arguments: list[str], status: int
) -> None:
    with Engine.start(data_dir, "--host", "0.0.0.0", *arguments) as engine:
        url = f"http://127.0.0.1:{engine.url.rpartition(':')[2]}/v1/webhooks"
        answer = httpx.post(url, json=GOOD, headers={"x-api-key": engine.key}, trust_env=False)
        assert answer.status_code == status


def test_every_event_of_a_job_is_delivered_and_signed(engine: Engine, site: Site, receiver: Receiver) -> None:
    site.broken.add("/2")
    webhook = create(engine, receiver.url, secret=SECRET, headers={"Authorization": "Bearer mine"})
    job_id = engine.submit({"urls": site.urls(3)})
    for _ in range(5):
        receiver.next()
    counted = settled(engine, webhook["id"], 5)
    assert sorted(receiver.events()) == ["job.completed", "job.page", "job.page", "job.page", "job.started"]
    for received in receiver.received:
        headers = received.headers
        assert headers["content-type"] == "application/json" and headers["user-agent"] == "Reader-Webhook/1.0"
        assert headers["authorization"] == "Bearer mine" and str(uuid.UUID(received.id)) == received.id
        assert is_genuine(headers, received.body, SECRET) and not is_genuine(headers, received.body + b" ", SECRET)
        assert (received.payload["jobId"], received.payload["event"]) == (job_id, received.event)
    assert len({received.id for received in receiver.received}) == 5
    pages = {received.payload["url"]: received.payload for received in receiver.received if "url" in received.payload}
    assert set(pages) == set(site.urls(3)) and "HTTP 500" in pages[site.urls(3)[2]]["error"]
    (end,) = [received.payload for received in receiver.received if received.event == "job.completed"]
    assert (end["status"], end["completed"], end["failed"], end["creditsUsed"]) == ("completed", 3, 1, 2)
    assert counted | {"lastDeliveryAt": 0} == {
        "totalAttempts": 5,
        "failedDeliveries": 0,
        "lastDeliveryAt": 0,
        "lastDeliveryStatus": 204,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", counted["lastDeliveryAt"])

    site.broken.clear()
    engine.post(f"/v1/jobs/{job_id}/retry")
    assert receiver.next("job.completed").payload["failed"] == 0, "a second one follows a retry"


def test_a_webhook_hears_of_what_it_asked_for(engine: Engine, site: Site, receiver: Receiver) -> None:
    create(engine, receiver.url + "/ends", events=["job.completed"])
    silent = create(engine, receiver.url + "/silent")
    engine.client.patch(f"/v1/webhooks/{silent['id']}", json={"active": False})
    engine.submit({"urls": site.urls(2)})
    assert receiver.next().event == "job.completed"
    assert "x-reader-signature" not in receiver.received[0].headers, "it has no secret"
    engine.client.patch(f"/v1/webhooks/{silent['id']}", json={"active": True, "events": ["job.started"]})
    engine.submit({"urls": site.urls(2)})
    assert {receiver.next().path for _ in range(2)} == {"/hook/ends", "/hook/silent"}
    assert len(receiver.received) == 3


def test_a_webhook_of_one_job(engine: Engine, site: Site, receiver: Receiver) -> None:
    with Receiver() as other:
        first = engine.submit({"urls": site.urls(1), "webhook": {"url": receiver.url, "secret": SECRET}})
        second = engine.submit({"urls": site.urls(1), "webhook": {"url": other.url, "events": ["job.completed"]}})
        assert other.next().payload["jobId"] == second
        while receiver.next().event != "job.completed":
            pass
    assert sorted(receiver.events()) == ["job.completed", "job.page", "job.started"] and other.events() == [
        "job.completed"
    ]
    assert all(is_genuine(received.headers, received.body, SECRET) for received in receiver.received)
    assert {received.payload["jobId"] for received in receiver.received} == {first}
    assert engine.get("/v1/webhooks").json()["data"] == []
    assert SECRET not in engine.get(f"/v1/jobs/{first}").text


def test_credits_that_run_low_are_told_once(data_dir: Path, site: Site, receiver: Receiver) -> None:
    with Engine.start(data_dir, "--credits", "20") as engine:
        create(engine, receiver.url, events=["credit.low", "job.completed"])
        engine.submit({"urls": site.urls(18), "cache": False})
        assert receiver.next().event == "job.completed"
        engine.submit({"urls": site.urls(2), "cache": False})
        told = {received.event: received.payload for received in (receiver.next(), receiver.next())}
        assert (told["credit.low"]["balance"], told["credit.low"]["limit"]) == (1, 20)
        assert receiver.events().count("credit.low") == 1


def test_three_tries_one_and_four_seconds_apart(engine: Engine, site: Site, receiver: Receiver) -> None:
    receiver.answers[:] = [500, 302, 404]
    receiver.headers["location"] = receiver.url + "/elsewhere"
    webhook = create(engine, receiver.url, events=["job.completed"], secret=SECRET)
    engine.submit({"urls": site.urls(1)})
    first, second, third = (receiver.next() for _ in range(3))
    assert len({received.id for received in (first, second, third)}) == 1
    assert 0.9 < second.at - first.at < 3 and 3.9 < third.at - second.at < 8
    assert len({received.headers["x-reader-timestamp"] for received in (first, second, third)}) == 3
    counted = settled(engine, webhook["id"], 3)
    assert (counted["failedDeliveries"], counted["lastDeliveryStatus"]) == (1, 404)
    assert {received.path for received in receiver.received} == {"/hook"}, "a redirect is not followed"
    engine.submit({"urls": site.urls(1)})
    assert receiver.next().answer == 204
    assert settled(engine, webhook["id"], 4)["failedDeliveries"] == 1
    assert len(receiver.received) == 4, "what failed for good stays so"


def test_nobody_there_and_a_receiver_that_hangs_hold_up_nobody(engine: Engine, site: Site) -> None:
    with Receiver() as hanging, Receiver() as quick, socket.create_server(("127.0.0.1", 0)) as deaf:
        hanging.gate.clear()
        slow = create(engine, hanging.url)
        lost = create(engine, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        deaf.close()
        create(engine, quick.url)
        began = time.monotonic()
        job_id = engine.submit({"urls": site.urls(40)})
        engine.wait(job_id)
        while quick.next().event != "job.completed":
            pass
        assert stats(engine, slow["id"])["totalAttempts"] <= 8, "a try takes 10 s, and it is owed 42"
        assert settled(engine, lost["id"], 1)["lastDeliveryStatus"] is None
        assert settled(engine, slow["id"], 4)["lastDeliveryStatus"] is None
        assert time.monotonic() - began > 9


def test_what_a_deleted_or_sleeping_webhook_is_owed_is_forgotten(engine: Engine, site: Site) -> None:
    with Receiver() as receiver:
        receiver.answers[:] = [500, 500]
        deleted, sleeping = (create(engine, receiver.url, events=["job.completed"]) for _ in range(2))
        engine.submit({"urls": site.urls(1)})
        receiver.next(), receiver.next()
        engine.client.delete(f"/v1/webhooks/{deleted['id']}")
        engine.client.patch(f"/v1/webhooks/{sleeping['id']}", json={"active": False})
        engine.client.patch(f"/v1/webhooks/{sleeping['id']}", json={"active": True})
        engine.submit({"urls": site.urls(1)})
        assert receiver.next().answer == 204
        settled(engine, sleeping["id"], 2)
    assert len(receiver.received) == 3


def test_kill_9_between_two_tries(data_dir: Path, site: Site, receiver: Receiver) -> None:
    receiver.answers[:] = [503, 503]
    with Engine.start(data_dir) as engine:
        webhook = create(engine, receiver.url, events=["job.completed"], secret=SECRET)
        engine.submit({"urls": site.urls(1)})
        first = receiver.next()
        settled(engine, webhook["id"], 1)
        engine.kill9()
        engine.restart()
        second, third = receiver.next(), receiver.next()
        assert {second.id, third.id} == {first.id}
        assert (second.answer, third.answer) == (503, 204) and is_genuine(third.headers, third.body, SECRET)
        assert settled(engine, webhook["id"], 3)["failedDeliveries"] == 0


def test_kill_9_at_any_moment_loses_no_event(data_dir: Path, site: Site, receiver: Receiver) -> None:
    site.delay = 0.01
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"urls": site.urls(60), "webhook": {"url": receiver.url, "secret": SECRET}})
        for _ in range(3):
            for _ in range(9):
                receiver.next()
            engine.kill9()
            engine.restart()
        engine.wait(job_id)
        while receiver.next().event != "job.completed":
            pass
        assert engine.stop() == 0
        engine.restart()
        with closing(sqlite3.connect(data_dir / "reader.db")) as db:
            while db.execute("SELECT count(*) FROM deliveries").fetchone() != (0,):
                time.sleep(0.02)
    events = {received.id: received for received in receiver.received}
    pages = sorted(received.payload["url"] for received in events.values() if received.event == "job.page")
    assert pages == sorted(site.urls(60)), "each page once, whatever was delivered twice"
    assert sum(received.event == "job.started" for received in events.values()) == 1
    assert sum(received.event == "job.completed" for received in events.values()) == 1


def test_a_background_engine_stays_until_everything_is_delivered(data_dir: Path, site: Site) -> None:
    with Receiver() as receiver, Engine.start(data_dir, "--background", "--idle-timeout", "1") as engine:
        receiver.answers[:] = [500, 500]
        webhook = {"url": receiver.url, "events": ["job.completed"], "secret": SECRET}
        engine.submit({"urls": site.urls(1), "webhook": webhook})
        engine.client.close()
        assert engine.wait_for_end(30) == 0
        assert [received.answer for received in receiver.received] == [500, 500, 204]
        log = (data_dir / "engine.log").read_text()
        assert "ERROR" not in log and SECRET not in log
