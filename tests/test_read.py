"""`reader read`: one page, while the user waits."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from fake_faults import Fault, cut, lose_answer, refuse, reply
from fake_server import FakeServer
from invoking import User

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
HOSTILE = "\x1b]0;title\x07\x9b31m\r\nred\x85\u202eevil\u2028\ttab\ud800"


def page(**fields: object) -> Fault:
    """The server's answer is a page with these fields."""
    body = json.dumps({"success": True, "data": {"url": "https://a.test/", **fields}}).encode()
    return reply(200, body, {"content-type": "application/json"})


def sent(server: FakeServer) -> dict[str, object]:
    body: dict[str, object] = json.loads(server.requests[-1].body)
    return body


def test_markdown_ends_in_a_newline(user: User, server: FakeServer) -> None:
    server.inject(page(markdown="# Hej"))
    done = user.run("read", "a.test")
    assert (done.code, done.out, done.err) == (0, b"# Hej\n", "")
    assert sent(server) == {"url": "https://a.test"}


def test_options_become_the_body(user: User, server: FakeServer) -> None:
    server.inject(page(html="<p>"))
    options = ("--format", "html", "--no-main-content", "--page-timeout", "5s", "--no-cache", "--set", "mobile=true")
    options += ("--set", "odd=NaN", "--set", "deep=" + "[" * 99_999)
    assert user.run("read", "https://a.test/", *options, "--set", "urls=[]").code == 2
    assert user.run("read", "https://a.test/", *options).out == b"<p>\n"
    assert sent(server) == {
        "url": "https://a.test/",
        "formats": ["html"],
        "onlyMainContent": False,
        "timeoutMs": 5000,
        "cache": False,
        "mobile": True,
        "odd": "NaN",
        "deep": "[" * 99_999,
    }


@pytest.mark.parametrize(
    ("terminal", "expected"),
    [(False, "]0;title31m\nred\n\u202eevil\u2028\ttab?\n"), (True, "]0;title31m\nred\nevil\ttab\n")],
)
def test_control_characters_are_dead_wherever_text_goes(
    terminal: bool, expected: str, user: User, server: FakeServer
) -> None:
    server.inject(page(markdown=HOSTILE))
    assert user.run("read", "a.test", terminal=terminal).out.decode() == expected


def test_json_is_the_page_as_it_was_sent_on_one_line_and_harmless(user: User, server: FakeServer) -> None:
    raw = '{"url":"https://a.test/","n":1.50,\n "odd":1e400,"markdown":"\\u001b\u2028é"}'
    server.inject(reply(200, f'{{"success":true,"data":{raw}}}'.encode(), {"content-type": "application/json"}))
    done = user.run("read", "a.test", "--json", "--format", "html", "--format", "markdown")
    assert done.out == '{"url":"https://a.test/","n":1.50,"odd":1e400,"markdown":"\\u001b\\u2028é"}\n'.encode()


def test_a_picture_goes_into_a_pipe_or_a_file_but_not_on_a_terminal(
    user: User, server: FakeServer, tmp_path: Path
) -> None:
    options = ("read", "a.test", "--format", "screenshot")
    refused = user.run(*options, terminal=True)
    assert (refused.code, refused.out, server.requests) == (2, b"", [])  # nothing was paid for it
    server.inject(page(screenshot=base64.b64encode(PNG).decode()), times=2)
    assert user.run(*options).out == PNG
    file = tmp_path / "a.png"
    assert user.run(*options, "-o", str(file), terminal=True).code == 0
    assert file.read_bytes() == PNG


def test_a_file_is_whole_or_not_there(user: User, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    server.inject(refuse(403, "url_blocked"))
    assert user.run("read", "a.test", "-o", str(file)).code == 6
    assert list(tmp_path.glob("a.md*")) == []
    server.inject(page(markdown="one"), times=2)
    assert user.run("read", "a.test", "-o", str(file)).code == 0
    requests = len(server.requests)
    assert user.run("read", "a.test", "-o", str(file)).code == 2 and len(server.requests) == requests
    assert file.read_bytes() == b"one\n"
    assert user.run("read", "a.test", "-o", str(file), "--force").code == 0


@pytest.mark.parametrize(
    "argv",
    [
        ("not a url",),
        ("ftp://a.test/",),
        ("a.test", "--format", "pdf"),
        ("a.test", "--format", "html", "--format", "markdown"),
        ("a.test", "--extract-prompt", "prices"),
    ],
)
def test_what_cannot_be_written_is_not_asked_for(argv: tuple[str, ...], user: User, server: FakeServer) -> None:
    assert user.run("read", *argv).code == 2
    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (page(markdown="x", error="HTTP 500"), 9),  # a page that failed, in the shape of a job's
        (page(html="no markdown"), 9),
        (reply(200, b'{"success":true,"data":[]}'), 9),
        (refuse(404, "gone_for_good"), 2),  # a code that is not known yet
    ],
)
def test_what_is_no_page_is_an_error(fault: Fault, code: int, user: User, server: FakeServer) -> None:
    server.inject(fault, times=99)
    done = user.run("read", "a.test")
    assert (done.code, done.out) == (code, b"")


@pytest.mark.parametrize("fault", [lose_answer, cut(30)])
def test_a_lost_answer_is_asked_for_with_the_same_key(fault: Fault, user: User, server: FakeServer) -> None:
    server.inject(fault)
    assert user.run("read", "a.test").code == 0
    assert len({request.headers["x-idempotency-key"] for request in server.requests}) == 1 < len(server.requests)


def test_a_page_that_is_to_blame_is_tried_twice(user: User, server: FakeServer) -> None:
    server.inject(refuse(502, "upstream_unavailable"), times=9)
    assert user.run("read", "a.test").code == 9
    assert len({request.headers["x-idempotency-key"] for request in server.requests}) == 2 == len(server.requests)
