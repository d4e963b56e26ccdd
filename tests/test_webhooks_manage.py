"""`reader webhooks create`, `list`, `update` and `delete` against the engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_server import Engine
from listening import SECRET
from running import Finished, new_environ, reader
from site_server import Site
from webhook_receiver import Receiver


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine.start(tmp_path_factory.mktemp("engine") / "data") as running:
        yield running


@pytest.fixture
def environ(engine: Engine, tmp_path: Path) -> Iterator[dict[str, str]]:
    yield new_environ(tmp_path, READER_API_URL=engine.url, READER_API_KEY=engine.key)
    for webhook in engine.get("/v1/webhooks").json()["data"]:
        engine.client.delete(f"/v1/webhooks/{webhook['id']}")


def webhooks(*argv: str, environ: dict[str, str]) -> Finished:
    return reader("webhooks", *argv, environ=environ)


def test_from_create_to_delete(engine: Engine, environ: dict[str, str]) -> None:
    with Receiver() as receiver, Site() as site:
        made = webhooks(
            *("create", receiver.url, "--name", "mine", "--event", "job.completed", "--event", "job.page"),
            *("--header", "X-Team: crawl: 1", "--generate-secret", "--json"),
            environ=environ,
        )
        assert made.code == 0 and made.err == ""
        (webhook,) = made.objects
        assert webhook["events"] == ["job.completed", "job.page"] and webhook["headers"] == {"X-Team": "crawl: 1"}
        receiver.secret = webhook["secret"]
        assert len(receiver.secret) > 32
        engine.wait(engine.submit({"urls": site.urls(1)}))
        assert {receiver.next().answer for _ in range(2)} == {204}, "signed with the secret that was shown"

        listed = webhooks("list", "--json", environ=environ)
        assert listed.objects[0]["id"] == webhook["id"] and receiver.secret not in listed.out.decode()
        table = webhooks("list", environ=environ).out.decode()
        assert webhook["id"] in table and "mine" in table and receiver.url in table and receiver.secret not in table

        changed = webhooks(
            *("update", webhook["id"], "--url", receiver.url + "/new", "--name", "yours", "--event", "job.failed"),
            *("--no-headers", "--inactive", "--json"),
            environ=environ,
        )
        (after,) = changed.objects
        assert (after["url"], after["name"], after["events"]) == (receiver.url + "/new", "yours", ["job.failed"])
        assert (after["headers"], after["active"], "secret" in after) == ({}, False, False)
        renewed = webhooks("update", webhook["id"], "--active", "--generate-secret", environ=environ)
        assert "active  yes" in renewed.out.decode() and re.search(r"^secret +\S{40,}$", renewed.out.decode(), re.M)
        assert "not shown again" in renewed.err

        gone = webhooks("delete", webhook["id"], "--json", environ=environ)
        assert (gone.code, gone.objects) == (0, [{"id": webhook["id"]}])
        assert "there is no webhook yet" in webhooks("list", environ=environ).err


def test_a_secret_of_ones_own_is_never_shown(engine: Engine, environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    made = [
        webhooks("create", "http://127.0.0.1:1/", "--secret-file", str(file), environ=environ),
        webhooks("create", "http://127.0.0.1:1/", "--json", environ={**environ, "READER_WEBHOOK_SECRET": SECRET}),
    ]
    webhook_id = made[1].objects[0]["id"]
    with_secret = {**environ, "READER_WEBHOOK_SECRET": SECRET + "2"}
    made.append(webhooks("update", webhook_id, "--secret-from-env", environ=with_secret))
    made.append(webhooks("update", webhook_id, "--name", "x", "--json", environ=with_secret))
    for done in made:
        assert done.code == 0 and SECRET not in done.out.decode() + done.err
    assert made[1].objects[0]["events"] == ["job.completed", "job.failed"] and made[1].objects[0]["name"] == "127.0.0.1"
    empty = webhooks("create", "http://127.0.0.1:1/", environ={**environ, "READER_WEBHOOK_SECRET": ""})
    assert empty.code == 6 and len(engine.get("/v1/webhooks").json()["data"]) == 2


@pytest.mark.parametrize(
    ("argv", "code", "word"),
    [
        (["create", "http://169.254.169.254/"], 6, "url_blocked"),
        (["create", "ftp://example.com/"], 2, "invalid_request"),
        (["create", "http://127.0.0.1:1/", "--event", "job.cancelled"], 2, "usage"),
        (["create", "http://127.0.0.1:1/", "--header", "token-without-colon"], 2, "usage"),
        (["create", "http://127.0.0.1:1/", "--header", "X-Reader-Event: mine"], 2, "invalid_request"),
        (["update", "wh_none", "--name", "x"], 7, "not_found"),
        (["update", "wh_none"], 2, "usage"),
        (["delete", "wh_none", "wh_neither"], 7, "not_found"),
        (["list", "--api-url", "http://127.0.0.1:1"], 9, "unreachable"),
        (["resend", "none"], 7, "not_found"),
        (["listen", "--from-events", "--no-register"], 2, "usage"),
    ],
)
def test_refusals(environ: dict[str, str], argv: list[str], code: int, word: str) -> None:
    done = webhooks(*argv, "--json", environ=environ)
    error = json.loads(done.err)
    assert (done.code, error["exitCode"], error["error"]["code"]) == (code, code, word)
    assert done.out == b"" and "token-without-colon" not in done.err
    if word == "not_found" and argv[0] != "resend":
        assert error["error"]["hint"] == "reader webhooks list"


def test_the_eleventh(environ: dict[str, str], engine: Engine) -> None:
    for number in range(10):
        engine.post("/v1/webhooks", {"url": f"http://127.0.0.1:{number + 1}/", "name": "n", "events": ["job.page"]})
    done = webhooks("create", "http://127.0.0.1:11/", environ=environ)
    assert done.code == 8 and "10" in done.err
    deleted = webhooks(
        "delete", *(hook["id"] for hook in engine.get("/v1/webhooks").json()["data"][:9]), environ=environ
    )
    assert deleted.code == 0 and len(webhooks("list", "--json", environ=environ).objects) == 1


def test_no_secret_is_in_a_process_list(environ: dict[str, str]) -> None:
    """Nothing takes one on the command line: what is there, others can read."""
    for command in ("create", "update", "listen", "resend", "verify"):
        words = reader("webhooks", command, "--help", environ=environ).out.decode()
        assert "--secret-file" in words and not re.search(r"--secret[ =]", words)
