"""login, logout, config, doctor: where a key is kept, and that it is seen nowhere else."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_faults import refuse
from fake_server import FakeServer
from running import reader
from terminal.screen import Terminal

KEY = "rdr_0123456789abcdefghij"
RING = """
import json, os
from keyring.backend import KeyringBackend
FILE = os.environ["HOME"] + "/ring.json"
class Ring(KeyringBackend):
    priority = 1
    def get_password(self, service, name):
        return json.load(open(FILE)).get(name) if os.path.exists(FILE) else None
    def set_password(self, service, name, key):
        json.dump({name: key}, open(FILE, "w"))
    def delete_password(self, service, name):
        os.unlink(FILE)
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        running.key = KEY
        yield running


def config_file(home: dict[str, str]) -> Path:
    return Path(home["XDG_CONFIG_HOME"]) / "reader" / "config.toml"


def login(home: dict[str, str], server: FakeServer, *options: str) -> None:
    done = reader("login", "--stdin", "--api-url", server.url, *options, environ=home, stdin=KEY.encode() + b"\n")
    assert done.code == 0 and KEY not in done.err and done.out == b""


def test_a_key_is_tried_kept_for_the_owner_alone_and_used(home: dict[str, str], server: FakeServer) -> None:
    login(home, server)
    file = config_file(home)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert reader("credits", "--json", environ=home).code == 0
    shown = reader("config", "show", "--json", environ=home)
    assert shown.objects[0]["server"] == server.url and KEY not in shown.out.decode()


def test_a_server_without_a_key_is_shown_and_named(home: dict[str, str]) -> None:
    assert reader("config", "set", "api_url", "http://127.0.0.1:9", environ=home).code == 0
    shown = reader("config", "show", environ=home)
    assert shown.code == 0 and {"server    http://127.0.0.1:9", "key       -"} <= set(shown.lines)
    asked = reader("credits", environ=home)
    assert asked.code == 6 and "http://127.0.0.1:9 (from profile default)" in asked.err


def test_a_key_that_the_server_refuses_is_not_kept(home: dict[str, str], server: FakeServer) -> None:
    server.inject(refuse(401, "unauthenticated"))
    done = reader("login", "--stdin", "--api-url", server.url, environ=home, stdin=KEY.encode())
    assert done.code == 6 and not config_file(home).exists()


def test_the_prompt_does_not_echo_and_needs_a_terminal(home: dict[str, str], server: FakeServer) -> None:
    assert reader("login", "--api-url", server.url, environ=home).code == 2
    with Terminal("login", "--api-url", server.url, environ=home) as terminal:
        terminal.wait_for(b"API key for")
        terminal.type(KEY.encode() + b"\n")
        assert terminal.finish() == 0
        assert KEY.encode() not in terminal.seen
    assert KEY in config_file(home).read_text()


def test_logout_and_comments_of_the_file_survive(home: dict[str, str], server: FakeServer) -> None:
    login(home, server, "--profile", "work")
    file = config_file(home)
    file.write_text("# my servers\n" + file.read_text())
    assert reader("config", "set", "profile", "work", environ=home).code == 0
    assert reader("logout", environ=home).code == 0
    assert KEY not in file.read_text() and file.read_text().startswith("# my servers\n")
    assert reader("logout", environ=home).code == 7
    assert reader("status", "job_1", environ=home).code == 6


def test_a_key_is_forgotten_when_its_profile_moves_to_another_server(home: dict[str, str], server: FakeServer) -> None:
    login(home, server)
    done = reader("config", "set", "api_url", "https://elsewhere.example", environ=home)
    assert done.code == 0 and "reader login" in done.err
    assert KEY not in config_file(home).read_text()


def test_a_key_never_goes_into_a_command_line(home: dict[str, str]) -> None:
    done = reader("config", "set", "api_key", KEY, environ=home)
    assert done.code == 2 and KEY not in done.err and not config_file(home).exists()


def test_a_key_in_the_keyring_is_in_no_file(home: dict[str, str], server: FakeServer, tmp_path: Path) -> None:
    # A backend of one file, so that the test has a keyring without a desktop.
    (tmp_path / "one_file_keyring.py").write_text(RING)
    environ = {**home, "PYTHON_KEYRING_BACKEND": "one_file_keyring.Ring", "PYTHONPATH": str(tmp_path)}
    login(environ, server, "--keyring")
    assert KEY not in config_file(home).read_text() and KEY in (tmp_path / "ring.json").read_text()
    assert reader("credits", environ=environ).code == 0
    assert reader("logout", environ=environ).code == 0
    assert not (tmp_path / "ring.json").exists()


def test_doctor_passes_on_a_working_server(home: dict[str, str], server: FakeServer) -> None:
    login(home, server)
    environ = {**home, "PATH": "/usr/bin:/bin"}
    done = reader("doctor", "--json", environ=environ)
    failed = [check for check in done.objects if check["ok"] is False]
    assert done.code == 0 and not failed
    assert {"configuration", "tcp", "key", "stream", "clock"} <= {check["check"] for check in done.objects}


def test_doctor_names_what_fails_and_the_remedy(home: dict[str, str], server: FakeServer) -> None:
    url = server.url
    login(home, server)
    server.inject(refuse(401, "unauthenticated"), times=9)
    refused = reader("doctor", environ=home)
    assert refused.code == 6 and "FAIL  key" in refused.out.decode() and "READER_API_KEY" in refused.out.decode()
    server.stop()
    gone = reader("doctor", "--json", environ={**home, "READER_API_URL": url, "READER_API_KEY": KEY})
    (failed,) = [check for check in gone.objects if check["ok"] is False]
    assert gone.code == 9 and failed["check"] == "tcp" and failed["remedy"]


def test_doctor_finds_another_reader_on_the_path(home: dict[str, str], server: FakeServer, tmp_path: Path) -> None:
    login(home, server)
    other = tmp_path / "bin" / "reader"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    done = reader("doctor", "--json", environ={**home, "PATH": f"{other.parent}{os.pathsep}{home['PATH']}"})
    (failed,) = [check for check in done.objects if check["ok"] is False]
    assert failed["check"] == "command" and str(other) in failed["found"]


def test_the_key_is_in_no_other_file_and_in_no_output(home: dict[str, str], server: FakeServer) -> None:
    login(home, server)
    job = server.url
    outputs = [
        reader(*argv, environ=home)
        for argv in (
            ("config", "show"),
            ("doctor",),
            ("status", "job_none"),
            ("submit", f"{job}/a", "--dry-run"),
            ("submit", f"{job}/a"),
            ("jobs", "--json"),
        )
    ]
    assert not [done for done in outputs if KEY in done.err or KEY in done.out.decode()]
    holding = [file for file in Path(home["HOME"]).rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
    assert holding == [config_file(home)]


def test_a_ca_bundle_that_is_none_and_a_dead_proxy_are_said_clearly(home: dict[str, str], server: FakeServer) -> None:
    environ = {**home, "READER_API_URL": "https://localhost:1", "READER_API_KEY": KEY}
    bundle = Path(home["HOME"]) / "not-certificates.pem"
    bundle.write_text("nonsense")
    done = reader("--ca-bundle", str(bundle), "credits", "--json", environ=environ)
    assert done.code == 2 and str(bundle) in json.loads(done.err)["error"]["message"]
    environ["READER_API_URL"] = "http://reader.example.com"
    done = reader("--proxy", server.url.replace("http", "socks9"), "credits", environ=environ)
    assert done.code == 2


def test_a_submission_that_may_cost_too_much_is_not_sent(home: dict[str, str], server: FakeServer) -> None:
    login(home, server)
    urls = ("https://a.example/1", "https://a.example/2")
    refused = reader("submit", *urls, "--proxy-mode", "premium", "--max-credits", "5", environ=home)
    assert (refused.code, refused.out) == (6, b"") and "6 credits" in refused.err
    assert server.count("POST /v1/read") == 0
    taken = reader("submit", *urls, "--max-credits", "2", environ=home)
    assert taken.code == 0 and "may cost up to 2 credits" in taken.err and server.count("POST /v1/read") == 1
