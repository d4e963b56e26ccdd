"""`reader webhooks listen`: what comes in is judged, shown, kept, and passed on until it is taken."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
from engine_server import Engine
from fake_jobs import FakeJob, make_page
from fake_server import FakeServer
from listening import SECRET, Listening, post, sign_by_hand
from running import kill_engine, new_environ, reader, start
from site_server import Site
from webhook_receiver import Receiver, is_genuine

BODY = json.dumps({"event": "job.completed", "jobId": "job_1", "status": "completed"}).encode()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user who has a secret, and no server at all."""
    return new_environ(tmp_path, READER_WEBHOOK_SECRET=SECRET)


def write_key(home: dict[str, str]) -> str:
    """The engine's key, which must not turn up anywhere either."""
    folder = Path(home["XDG_DATA_HOME"]) / "reader" / "engine"
    return str(json.loads((folder / "engine.json").read_bytes())["key"])


def files_with(folder: Path, text: str) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def test_deliveries_by_hand(environ: dict[str, str]) -> None:
    with Listening("--no-register", environ=environ) as listening:
        good = sign_by_hand(BODY)
        assert post(listening.url, BODY, good) == 204
        line = listening.line()
        assert line == {
            "event": "job.completed",
            "delivery": good["x-reader-delivery"],
            "verdict": "valid",
            "payload": json.loads(BODY),
        }
        assert post(listening.url, BODY, good) == 204 and listening.line()["verdict"] == "repeated"

        other = sign_by_hand(BODY)
        reencoded = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
        in_base64 = base64.b64encode(bytes.fromhex(other["x-reader-signature"][7:])).decode()
        forged = [
            (reencoded, other),
            (BODY, other | {"x-reader-signature": "sha256=" + in_base64}),
            (BODY, other | {"x-reader-signature": other["x-reader-signature"][7:]}),
            (BODY, other | {"x-reader-timestamp": str(int(other["x-reader-timestamp"]) + 1)}),
            (BODY, {name: value for name, value in other.items() if name != "x-reader-signature"}),
            (BODY, sign_by_hand(BODY, SECRET + "!", age=400)),
        ]
        for body, headers in forged:
            assert post(listening.url, body, headers) == 401
            line = listening.line()
            assert line["verdict"] == "forged" and "payload" not in line
        for age in (301, -310):
            assert post(listening.url, BODY, sign_by_hand(BODY, age=age)) == 401
            assert listening.line()["verdict"] == "stale"

        latin = '{"jobId": "jöb"}'.encode("latin-1")
        unnamed = {name: value for name, value in sign_by_hand(BODY).items() if name != "x-reader-delivery"}
        for body, headers in ((latin, sign_by_hand(latin)), (b"[]", sign_by_hand(b"[]")), (BODY, unnamed)):
            assert post(listening.url, body, headers) == 400 and listening.line()["verdict"] == "unreadable"
        assert listening.stop() == 143


def test_hostile_bytes_in_a_delivery_stay_data(environ: dict[str, str]) -> None:
    body = '{"jobId": "\u001b]0;x\u2028\u202e"}'.replace("\u001b", "\\u001b").encode()
    with Listening("--no-register", environ=environ) as listening:
        assert post(listening.url, body, sign_by_hand(body, event="\x85\xff")) == 204
        listening.line()
        assert listening.raw[0].isascii() and listening.raw[0].count(b"\n") == 1
        assert post(listening.url, BODY, {"x-reader-event": "x" * 5000}) == 401
        assert len(listening.line()["event"]) == 200


def test_what_is_no_delivery_at_all(environ: dict[str, str]) -> None:
    def talk(raw: bytes) -> bytes:
        host, port = listening.url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").readline()

    headers = sign_by_hand(BODY)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    chunked = f"POST / HTTP/1.1\r\n{head}transfer-encoding: chunked\r\n\r\n".encode()
    with Listening("--no-register", environ=environ) as listening:
        assert b"501" in talk(b"GET / HTTP/1.1\r\n\r\n")
        assert b"413" in talk(b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n")
        assert b"413" in talk(b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n")
        assert talk(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nshort") == b""
        assert talk(chunked + b'5\r\n{"eve\r\nzz\r\n') == b""
        assert talk(b"\x16\x03\x01\x00\xff") != b"HTTP/1.1 204"
        middle = len(BODY) // 2
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:middle], BODY[middle:], b""))
        assert b"204" in talk(chunked + chunks)
        assert listening.line()["delivery"] == headers["x-reader-delivery"], "and nothing else was shown"


def test_an_app_that_verifies_by_itself_gets_what_came(environ: dict[str, str]) -> None:
    with Receiver(SECRET) as app, Listening("--no-register", "--forward-to", app.url, environ=environ) as listening:
        mine = sign_by_hand(BODY, authorization="Bearer mine", **{"x-odd": "caf\xe9"})
        assert post(listening.url, BODY, mine) == 204
        received = app.next()
        assert received.answer == 204 and received.body == BODY
        kept = {name: value for name, value in received.headers.items() if name in mine}
        assert kept == mine
        post(listening.url, BODY, mine)
        post(listening.url, BODY, sign_by_hand(BODY, SECRET + "!"))
        post(listening.url, BODY, last := sign_by_hand(BODY))
        assert app.next().id == last["x-reader-delivery"], "neither the repeated nor the forged one was passed on"


def test_an_app_that_was_down_loses_nothing(environ: dict[str, str]) -> None:
    """Down, then killed and started again in the middle of it: every delivery arrives, in order."""
    with Receiver(SECRET) as app:
        port, url = app.port, app.url
    sent = []
    with Listening("--no-register", "--forward-to", url, environ=environ) as listening:
        for _ in range(20):
            post(listening.url, BODY, headers := sign_by_hand(BODY))
            sent.append(headers["x-reader-delivery"])
        listening.said("is not there .* kept until it is")
        listening.stop(signal.SIGKILL)
    with Listening("--no-register", "--forward-to", url, environ=environ) as listening:
        post(listening.url, BODY, headers := sign_by_hand(BODY))
        sent.append(headers["x-reader-delivery"])
        with Receiver(SECRET, port) as app:
            assert [app.next().id for _ in sent] == sent
            assert {received.answer for received in app.received} == {204}


def test_what_an_app_refuses_is_tried_again_and_does_not_hold_up_the_others(environ: dict[str, str]) -> None:
    with Receiver(SECRET) as app, Listening("--no-register", "--forward-to", app.url, environ=environ) as listening:
        app.answers[:] = [500]
        first, second = sign_by_hand(BODY), sign_by_hand(BODY)
        post(listening.url, BODY, first)
        assert app.next().answer == 500
        post(listening.url, BODY, second)
        got = [app.next(), app.next()]
        assert {received.id for received in got} == {first["x-reader-delivery"], second["x-reader-delivery"]}
        assert {received.answer for received in got} == {204}
        assert any("HTTP 500" in line and first["x-reader-delivery"] in line for line in listening.talk)


def test_a_signature_that_has_become_old_is_renewed_for_the_app(environ: dict[str, str]) -> None:
    with Receiver(SECRET) as app, Listening("--no-register", "--forward-to", app.url, environ=environ) as listening:
        old = sign_by_hand(BODY, age=290)
        post(listening.url, BODY, old)
        received = app.next()
        assert received.answer == 204 and received.id == old["x-reader-delivery"]
        assert int(received.headers["x-reader-timestamp"]) > int(old["x-reader-timestamp"]) + 240


def test_a_command_gets_the_payload_until_it_succeeds(environ: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f'echo talk; cat >> {out}; echo " $READER_EVENT $READER_JOB_ID" >> {out}; test $(wc -l < {out}) -ge 2'
    with Listening("--no-register", "--exec", script, environ=environ) as listening:
        post(listening.url, BODY, headers := sign_by_hand(BODY))
        listening.said("exit code 1; again in 1 s")
        while len(out.read_text().splitlines()) < 2:
            time.sleep(0.02)
        assert out.read_text() == (BODY.decode() + " job.completed job_1\n") * 2
        nasty = headers | {"x-reader-event": "$(touch /tmp/never); `x`"}
        post(listening.url, BODY, nasty | {"x-reader-delivery": "another"})
        while len(out.read_text().splitlines()) < 3:
            time.sleep(0.02)
        assert [line["verdict"] for line in (listening.line(), listening.line())] == ["valid", "valid"]
        assert len(listening.raw) == 2, "what the command writes is talk"
    assert "$(touch" in out.read_text()


def test_two_listeners_do_not_work_off_one_targets_deliveries(environ: dict[str, str]) -> None:
    arguments = ["--no-register", "--forward-to", "http://127.0.0.1:1/"]
    with Listening(*arguments, environ=environ):
        second = reader("webhooks", "listen", *arguments, environ=environ)
        assert second.code == 8 and "another" in second.err


def test_resend(environ: dict[str, str]) -> None:
    with Receiver(SECRET) as app, Receiver(SECRET) as other:
        with Listening("--no-register", "--forward-to", app.url, environ=environ) as listening:
            post(listening.url, BODY, headers := sign_by_hand(BODY, age=200))
            app.next()
        delivery = headers["x-reader-delivery"]
        again = reader("webhooks", "resend", delivery, environ=environ)
        assert (again.code, again.objects) == (0, [{"delivery": delivery, "target": app.url, "taken": True}])
        assert app.next().id == delivery and app.received[-1].body == BODY
        assert reader("webhooks", "resend", delivery, "--forward-to", other.url, environ=environ).code == 0
        assert is_genuine(other.next().headers, BODY, SECRET)
        app.answers[:] = [503]
        refused = reader("webhooks", "resend", delivery, "--json", environ=environ)
        assert refused.code == 9 and "503" in json.loads(refused.err)["error"]["message"]


def test_it_ends_when_nobody_reads_its_output(environ: dict[str, str]) -> None:
    read, write = os.pipe()
    process = start("webhooks", "listen", "--no-register", environ=environ, stdout=write)
    os.close(write)
    os.close(read)
    assert process.stderr
    url = process.stderr.readline().decode().split()[-1]
    assert post(url, BODY, sign_by_hand(BODY)) == 500, "what was not shown was not taken"
    assert process.wait(20) == 141
    process.stderr.close()


def test_with_the_local_engine_it_registers_and_removes_its_webhook(home: dict[str, str], tmp_path: Path) -> None:
    printed = reader("webhooks", "listen", "--print-secret", environ=home)
    secret = printed.out.decode().strip()
    assert printed.code == 0 and len(secret) > 32
    with Site() as site, Receiver(secret) as app:
        killed = Listening("--event", "job.failed", environ=home)
        killed.stop(signal.SIGKILL)
        with Listening("--forward-to", app.url, environ=home) as listening:
            (webhook,) = reader("webhooks", "list", "--json", environ=home).objects
            assert webhook["url"] == listening.url, "what was left behind by the other one is gone"
            command_line = Path(f"/proc/{listening.pid}/cmdline")
            assert not command_line.exists() or secret not in command_line.read_text()
            job_id = reader("submit", *site.urls(2), environ=home).lines[0]
            while app.next().event != "job.completed":
                pass
            assert sorted(app.events()) == ["job.completed", "job.page", "job.page", "job.started"]
            lines = [listening.line() for _ in range(4)]
            assert {line["verdict"] for line in lines} == {"valid"}
            assert {line["payload"]["jobId"] for line in lines} == {job_id}

            kill_engine(home)
            reader("submit", *site.urls(1), "--wait", environ=home)
            assert app.next("job.completed").answer == 204, "another engine on another port knows of it still"
            key = write_key(home)
            assert listening.stop(signal.SIGINT) == 130
        assert reader("webhooks", "list", "--json", environ=home).objects == []
        told = b"".join(listening.raw).decode() + "".join(listening.talk)
        assert secret not in told and key not in told
    state = Path(home["XDG_STATE_HOME"])
    assert files_with(state, secret) == ["secret"] and files_with(state, key) == []
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (state / "reader" / "webhooks").iterdir())
    logs = [file.read_text() for file in Path(home["XDG_DATA_HOME"]).rglob("*.log")]
    assert logs and all(secret not in log and key not in log for log in logs)


def test_a_server_that_cannot_reach_this_machine_needs_a_tunnel(environ: dict[str, str]) -> None:
    elsewhere = {**environ, "READER_API_URL": "http://reader.invalid", "READER_API_KEY": "rdr_x"}
    refused = reader("webhooks", "listen", environ=elsewhere)
    assert refused.code == 2 and "--public-url" in refused.err and "--from-events" in refused.err


def test_a_tunnels_url_is_what_is_registered(tmp_path: Path) -> None:
    with Engine.start(tmp_path / "engine") as engine, Site() as site:
        environ = new_environ(tmp_path, READER_API_URL=engine.url, READER_API_KEY=engine.key)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        tunnel = f"http://localhost:{port}/through/the/tunnel"
        with Listening("--public-url", tunnel, "--port", str(port), environ=environ) as listening:
            assert engine.get("/v1/webhooks").json()["data"][0]["url"] == tunnel
            engine.submit({"urls": site.urls(1)})
            assert listening.line()["event"] == "job.started"


def test_out_of_the_event_stream(home: dict[str, str]) -> None:
    """The engine is killed in the middle: what was missed is told once it is back."""
    with Site() as site:
        secret = reader("webhooks", "listen", "--print-secret", environ=home).out.decode().strip()
        with Receiver(secret) as app:
            site.gate.clear()
            arguments = ["--from-events", "--forward-to", app.url]
            with Listening(*arguments, environ=home, ready="(connected)") as listening:
                job_id = reader("submit", *site.urls(3), environ=home).lines[0]
                begun = app.next()
                assert (begun.event, begun.payload["jobId"]) == ("job.started", job_id)
                assert begun.headers["x-reader-replay"] == "true"
                kill_engine(home)
                site.gate.set()
                reader("watch", job_id, environ=home)
                ended = app.next()
                assert (ended.event, ended.payload["completed"]) == ("job.completed", 3)
                assert [listening.line()["replay"] for _ in range(2)] == [True, True]
                assert listening.stop() == 143
            assert [received.answer for received in app.received] == [204, 204]


def test_what_a_hosted_stream_missed_is_asked_for(environ: dict[str, str]) -> None:
    with FakeServer() as server, Receiver(SECRET) as app:
        job = server.add(FakeJob(total=2))
        elsewhere = {**environ, "READER_API_URL": server.url, "READER_API_KEY": server.key}
        arguments = ["--from-events", "--forward-to", app.url]
        with Listening(*arguments, environ=elsewhere, ready="(connected)"):
            job.finish(make_page(0))
            assert app.next().event == "job.started"
            job.emit_workspace = lambda event, data: None
            job.end("failed", "it broke")
            server.drop_connections()
            ended = app.next()
            assert (ended.event, ended.payload["jobId"], ended.payload["error"]) == ("job.failed", job.id, "it broke")
    assert len(app.received) == 2
