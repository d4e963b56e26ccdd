"""Every command there is: documented, and with --json a thing that scripts can rely on, whatever goes wrong."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_faults import refuse
from fake_jobs import FakeJob, make_failure, make_page
from fake_server import FakeServer
from invoking import User
from running import READER, Finished, reader, start
from typer.main import get_command

from reader_cli.cli import build_app
from reader_cli.errors import EXIT_OF_CODE, ExitCode, Unreachable
from reader_cli.models import HTTP_STATUS, ErrorCode

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

# Commands that print no object, and why.
WITHOUT_JSON = {
    "results": "JSON lines, or what --format says",
    "demo": "always JSON lines",
    "serve": "its stdout is empty",
    "top": "a screen; `events` is for scripts",
    "completion": "a script",
    "local stop": "nothing to print",
    "local logs": "a log",
    "login": "nothing to print",
    "logout": "nothing to print",
    "config path": "a path",
    "config set": "nothing to print",
    "config unset": "nothing to print",
    "jobs forget": "nothing to print",
}
# Commands that ask the server, with arguments that let them succeed.
ASKING = {
    "submit": ("https://a.test/",),
    "submit --wait": ("https://a.test/", "--via", "poll"),
    "status": ("job_done",),
    "watch": ("job_done", "--via", "poll", "--max-failures", "1"),
    "cancel": ("job_live",),
    "retry": ("job_done",),
    "read": ("https://a.test/",),
    "events": (),
    "webhooks create": ("https://hook.test/",),
    "webhooks list": (),
    "webhooks update": ("wh_1", "--inactive"),
    "webhooks delete": ("wh_1",),
    "webhooks listen": (),
    "credits": (),
    "usage": (),
    "queue": (),
}
ENDLESS = {"events", "webhooks listen"}  # their success has tests of its own
# Commands that look at this machine, or take what the server says as a finding; and how they exit on a fresh one.
LOOKING = {
    "jobs": 0,
    "config show": 0,
    "doctor": 0,
    "local status": 7,
    "webhooks resend 0a1b": 7,
    "webhooks verify - --timestamp 1 --signature sha256=00": 6,  # without a secret
}
# Refusals that a command waits out, however long it takes (cli: submit, watch).
PATIENT = {
    ("submit", ErrorCode.CONCURRENCY_LIMITED),
    ("submit --wait", ErrorCode.CONCURRENCY_LIMITED),
    ("watch", ErrorCode.RATE_LIMITED),
}
# Refusals that a command bears until it gives up on the server as a whole.
BORNE = {
    ("watch", code) for code in (ErrorCode.INTERNAL_ERROR, ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.SCRAPE_TIMEOUT)
}


def walk(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, command) of each that can be run; a group may be one, too."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    if path and command.invoke_without_command and command.params:  # without any it shows its help
        yield path, command
    for name in command.list_commands(None):
        yield from walk(command.get_command(None, name), f"{path} {name}".strip())


COMMANDS = dict(walk(get_command(build_app())))


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("group", ["config", "local", "webhooks"])
def test_a_group_alone_shows_its_help(group: str, home: dict[str, str]) -> None:
    alone = reader(group, environ=home)
    assert alone.code == 0 and alone.out == reader(group, "--help", environ=home).out != b""


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_is_explained_and_in_the_readme(path: str) -> None:
    command = COMMANDS[path]
    assert len(command.help or "") > 10
    assert all(parameter.help for parameter in command.params if parameter.param_type_name == "option")
    name, _, rest = path.partition(" ")
    assert re.search(rf"`reader {name}( [^`]*\b{rest}\b|\b)", README), f"README.md does not tell of reader {path}"


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_that_prints_an_object_has_json_and_is_tried_below(path: str) -> None:
    assert ("--json" in options_of(COMMANDS[path])) == (path not in WITHOUT_JSON)
    assert any(call.startswith(path) for call in (*WITHOUT_JSON, *ASKING, *LOOKING))


@pytest.fixture
def jobs(server: FakeServer) -> None:
    done = server.add(FakeJob(total=2, job_id="job_done", counts_failed=True))
    done.finish(make_page(0))
    done.finish({**make_failure(1), "url": "http://["})  # what a server sends as a URL need not be one
    done.end()
    server.add(FakeJob(total=2, job_id="job_live"))
    server.usage = [{"id": "use_1", "url": "https://a.test/", "credits": 1}]
    server.webhooks = {"wh_1": {"id": "wh_1", "url": "https://hook.test/", "name": "hook", "events": ["job.page"]}}


def run(user: User, call: str, *more: str) -> Finished:
    name, *options = call.split()
    return user.run(name, *options, *ASKING.get(call, ()), "--json", *more)


@pytest.mark.parametrize("call", sorted(ASKING.keys() - ENDLESS))
def test_json_parses_on_success(call: str, user: User, server: FakeServer, jobs: None) -> None:
    done = run(user, call)
    assert (done.code, done.err) == (0, "")
    assert done.objects and all(isinstance(line, dict) for line in done.objects)


@pytest.mark.parametrize("code", ErrorCode)
@pytest.mark.parametrize("call", ASKING)
def test_json_parses_on_each_error_code(call: str, code: ErrorCode, user: User, server: FakeServer, jobs: None) -> None:
    server.inject(refuse(HTTP_STATUS[code], code), times=300)
    done = run(user, call)
    assert all(isinstance(line, dict) for line in done.objects)
    if (call, code) in PATIENT:
        assert (done.code, done.err) == (0, "")
        return
    told = json.loads(done.err)  # one object and nothing else
    assert set(told) == {"error", "exitCode"} and set(told["error"]) == {"code", "message", "requestId", "hint"}
    if (call, code) in BORNE:
        assert told["error"]["code"] == Unreachable.code
    else:
        assert told["error"]["code"] == code and told["error"]["requestId"] == "req_fake"
    assert told["exitCode"] == done.code == EXIT_OF_CODE.get(code, ExitCode.UNREACHABLE)
    assert server.key not in done.err


@pytest.mark.parametrize("call", LOOKING)
def test_json_of_what_needs_no_server(call: str, user: User) -> None:
    done = user.run(*call.split(), "--json")
    assert done.code == LOOKING[call]
    assert json.loads(done.err)["exitCode"] == done.code if done.code else done.err == ""
    assert all(isinstance(line, dict) for line in done.objects)


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() - WITHOUT_JSON))
def test_json_parses_on_a_wrong_option(path: str, user: User) -> None:
    done = user.run(*path.split(), "--json", "--no-such-option")
    assert (done.code, done.out, json.loads(done.err)["exitCode"]) == (2, b"", 2)


@pytest.fixture
def asking(home: dict[str, str], server: FakeServer, jobs: None) -> dict[str, str]:
    return {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("status job_done 2>&-", 0, "job_done  completed"),
        ("status nosuch 2>&- >&-", 7, ""),
        ("status nosuch 2>/dev/full", 7, ""),
        ("watch job_done 2>/dev/full", 5, ""),
        ("status nosuch 2>&1 | true; exit ${PIPESTATUS[0]}", 7, ""),
        ("status job_done 2>&1 >&-", 2, "reader: standard output: Bad file descriptor\n"),
        ("submit --dry-run - 2>&1 <&-", 2, "reader: cannot read '-': Bad file descriptor\n"),
        ("--version 2>&1 >/dev/full", 2, "reader: standard output: No space left on device\n"),
        ("--help | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("--ca-bundle FILE --version", 0, "reader "),
    ],
)
def test_standard_streams_that_are_closed_full_or_gone(line: str, code: int, told: str, asking: dict[str, str]) -> None:
    """Talk that can't be written changes nothing; data that can't be written is an error. Nothing else is said."""
    done = subprocess.run(["bash", "-c", f"{READER} {line}"], env=asking, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (code, b"")
    assert done.stdout.decode().startswith(told) and bool(told) == bool(done.stdout)


def test_ctrl_c_while_it_starts_is_silent(asking: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "dataclasses.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = reader("status", "job_done", environ={**asking, "PYTHONPATH": str(tmp_path)})
    assert (done.code, done.out, done.err) == (-signal.SIGINT, b"", "")


def test_a_submission_whose_ids_cannot_be_written_says_how_to_go_on(asking: dict[str, str], server: FakeServer) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start("submit", *(f"https://a.test/{n}" for n in range(1001)), environ=asking, stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2 and b"No space left on device; 1 job submitted\nreader submit --resume run_" in err
    resumed = reader("submit", "--resume", err.decode().split()[-1], environ=asking)
    assert (resumed.code, len(resumed.lines), server.count("POST /v1/read")) == (0, 2, 2)
