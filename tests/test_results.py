"""`reader results`: which pages, in which order, in which shape."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fake_jobs import FakeJob, make_failure, make_page, make_pages
from fake_server import FakeServer
from hypothesis import given
from hypothesis import strategies as st
from invoking import User
from running import Finished

from reader_cli.errors import UsageError
from reader_cli.output.fields import Fields
from reader_cli.output.formats import build_layout
from reader_cli.output.jsonl import mend, read_members
from reader_cli.output.ordering import in_order
from reader_cli.output.spreadsheet import build_row


def finished(server: FakeServer, pages: list[Any], **options: Any) -> str:
    job = server.add(FakeJob(len(pages), **options))
    for page in pages:
        job.finish(page)
    job.end()
    return job.id


def shuffled(job: FakeJob, urls: list[str]) -> None:
    """The server is done with them in any order; every tenth fails, and every hundredth never ends."""
    numbered = list(enumerate(urls))
    random.Random(4).shuffle(numbered)
    for number, url in numbered:
        page = make_failure(number) if number % 10 == 3 else make_page(number)
        if number % 100 != 50:
            job.finish({**page, "url": url})
    job.end("cancelled")


def submit(user: User, rows: list[dict[str, Any]], *argv: str) -> None:
    file = Path(user.environ["HOME"]) / "input.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert user.run("submit", "-f", str(file), *argv).code == 0


def urls_of(done: Finished) -> list[str]:
    assert done.code == 0, done.err
    return [page["url"] for page in done.objects]


def test_only_skip_and_limit_count_what_is_written(user: User, server: FakeServer) -> None:
    one = finished(server, make_pages(30, failing=range(0, 30, 3)))
    two = finished(server, make_pages(30, failing=range(0, 30, 3)))
    everything = [page["url"] for page in make_pages(30)]
    failed = everything[::3]
    assert urls_of(user.run("results", one, two)) == everything * 2
    assert urls_of(user.run("results", one, two, "--only", "failed")) == failed * 2
    assert urls_of(user.run("results", one, two, "--skip", "25", "--limit", "10")) == (everything * 2)[25:35]
    assert (
        urls_of(user.run("results", one, two, "--only", "failed", "--skip", "8", "--limit", "4")) == (failed * 2)[8:12]
    )
    assert urls_of(user.run("results", one, "--limit", "0")) == []
    server.requests.clear()
    assert urls_of(user.run("results", one, "--skip", "20", "--limit", "5")) == everything[20:25]
    assert [request.target for request in server.requests] == [f"/v1/jobs/{one}?skip=20&limit=5"]


def test_the_input_comes_back_in_its_order_with_its_records(user: User, server: FakeServer) -> None:
    server.process = shuffled
    rows = [{"url": f"https://a.test/{number}", "sku": f"n{number}"} for number in range(2300)]
    submit(user, rows, "--name", "nightly")
    wanted = [row for number, row in enumerate(rows) if number % 1000 % 100 != 50]
    assert urls_of(user.run("results", "nightly")) != [row["url"] for row in wanted]
    done = user.run("results", "nightly", "--ordered", "--with-input")
    assert [(page["url"], page["input"]) for page in done.objects] == [
        (row["url"], {"sku": row["sku"]}) for row in wanted
    ]
    some = user.run("results", "nightly", "--ordered", "--only", "ok", "--skip", "3", "--limit", "1200")
    ok = [row["url"] for number, row in enumerate(rows) if row in wanted and number % 1000 % 10 != 3]
    assert urls_of(some) == ok[3:1203]
    missing = user.run("results", "nightly", "--missing", "--with-input")
    assert missing.objects == [{"url": row["url"], "input": {"sku": row["sku"]}} for row in rows if row not in wanted]
    listed = user.run("results", "nightly", "--missing", "--format", "urls")
    assert listed.lines == [page["url"] for page in missing.objects]
    table = list(
        csv.DictReader(io.StringIO(user.run("results", "@last", "--with-input", "--format", "csv").out.decode()))
    )
    assert Counter((row["url"], row["input.sku"]) for row in table) == Counter(
        (row["url"], row["sku"]) for row in wanted
    )


def test_urls_submitted_twice_and_spelled_otherwise_find_their_records(user: User, server: FakeServer) -> None:
    def respell(job: FakeJob, urls: list[str]) -> None:
        for url in reversed(urls):
            job.finish({**make_page(0), "url": url if "twice" in url else url + "/"})
        job.finish({**make_page(0), "url": "https://discovered.test/"})
        job.end()

    server.process = respell
    rows = [
        {"url": url, "n": n} for n, url in enumerate(["https://b.test/twice", "https://B.test", "https://b.test/twice"])
    ]
    submit(user, rows, "--keep-duplicates")
    done = user.run("results", "@last", "--ordered", "--with-input")
    assert [(page["url"], page["input"]) for page in done.objects] == [
        ("https://b.test/twice", {"n": 0}),
        ("https://B.test/", {"n": 1}),
        ("https://b.test/twice", {"n": 2}),
        ("https://discovered.test/", None),
    ]
    assert user.run("results", "@last", "--missing").out == b""


def test_a_job_from_elsewhere_has_no_known_input(user: User, server: FakeServer) -> None:
    job = finished(server, make_pages(2))
    for option in ("--ordered", "--missing", "--with-input"):
        done = user.run("results", job, option)
        assert done.code == 7 and job in done.err and done.out == b""


@pytest.mark.parametrize(
    "argv",
    [
        "--only some",
        "--only ok --missing",
        "--format xml",
        "--format urls --fields url",
        "--format markdown --missing",
        "--format urls --with-input",
        "--fields url,,error",
        "--resume",
        "--resume -o -",
        "--force",
        "-o a --output-dir b",
        "--output-dir b --format csv",
        "--output-dir b --missing",
        "--resume --output-dir b",
        "--follow --ordered",
        "--follow --missing",
        "--follow --limit 3",
        "--via webhook --follow",
        "--timeout 3",
        "--max-failures 3",
        "--skip -1",
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_asked(
    user: User, server: FakeServer, tmp_path: Path, argv: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = user.run("results", "job_1", *argv.split())
    assert done.code == 2 and argv.split()[0] in done.err and done.err.count("\n") <= 2
    assert not server.requests and not list(tmp_path.glob("[ab]*"))


def test_json_is_one_array_of_the_very_pages(user: User, server: FakeServer) -> None:
    pages = make_pages(25, failing=[4])
    job = finished(server, pages)
    assert json.loads(user.run("results", job, "--format", "json").out) == pages
    assert json.loads(user.run("results", finished(server, []), "--format", "json").out) == []


def test_fields_keep_the_shape_of_the_page(user: User, server: FakeServer) -> None:
    job = finished(server, [make_page(0), make_failure(1)])
    done = user.run("results", job, "--fields", "metadata.title,url,error,metadata.title")
    assert done.out.splitlines() == [
        b'{"metadata":{"title":"Page 0"},"url":"https://site.test/0","error":null}',
        b'{"metadata":{"title":null},"url":"https://site.test/1","error":"HTTP 500"}',
    ]
    done = user.run("results", job, "--fields", "metadata.title,url", "--format", "csv")
    assert done.out == b"metadata.title,url\r\nPage 0,https://site.test/0\r\n,https://site.test/1\r\n"


HOSTILE = "=cmd|' /C calc'!A0\x00\x1b]8;;http://evil.test\x07\x9b\r\nsecond \"line\", ü\u202e"


def test_csv_runs_nothing_and_keeps_its_rows(user: User, server: FakeServer) -> None:
    page = {"url": "https://a.test/", "markdown": HOSTILE, "metadata": {"title": "@SUM(A1)"}, "credits": -1}
    out = user.run("results", finished(server, [page, make_failure(1, "+1")]), "--format", "csv", terminal=True).out
    assert not set(out) & {*range(0x0A), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F} and "\u202e" not in out.decode()
    first, second = csv.DictReader(io.StringIO(out.decode(), newline=""))
    assert first["markdown"] == "'=cmd|' /C calc'!A0]8;;http://evil.test\nsecond \"line\", ü"
    assert (first["metadata.title"], first["credits"], second["error"]) == ("'@SUM(A1)", "-1", "'+1")
    assert out.count(b"\r\n") == 3


def test_markdown_and_urls_are_harmless_on_a_terminal(user: User, server: FakeServer) -> None:
    page = {"url": "https://a.test/\x1b[2J\n", "markdown": HOSTILE}
    job = finished(server, [page, make_failure(1, "no\x1b[2Jthing"), {"url": "https://b.test/"}])
    text = user.run("results", job, "--format", "markdown", terminal=True).out.decode()
    assert text == (
        "# https://a.test/%1B[2J%0A\n\n=cmd|' /C calc'!A0]8;;http://evil.test\nsecond \"line\", ü\n\n"
        "# https://site.test/1\n\n*not read: no[2Jthing*\n\n# https://b.test/\n\n"
    )
    urls = user.run("results", job, "--format", "urls").lines
    assert urls == ["https://a.test/%1B[2J%0A", "https://site.test/1", "https://b.test/"]


def test_following_chooses_joins_and_formats_too(user: User, server: FakeServer) -> None:
    server.process = lambda job, urls: [job.finish({**make_page(0), "url": url}) for url in urls] and None
    submit(user, [{"url": f"https://a.test/{number}", "n": number} for number in range(3)])
    job = server.jobs[next(iter(server.jobs))]
    job.total = 4
    job.play([make_failure(9)])
    done = user.run("results", "@last", "--follow", "--with-input", "--only", "ok", "--fields", "url,input.n")
    assert done.code == 5
    assert done.objects == [{"url": f"https://a.test/{number}", "input": {"n": number}} for number in range(3)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4) | st.just("\udfff"), json_values, max_size=5))
def test_any_page_is_taken_apart_as_it_was_sent(page: dict[str, Any]) -> None:
    line = mend(json.dumps(page).encode())
    whole = json.loads(line)
    assert {key: json.loads(value) for key, value in read_members(line).items()} == whole
    names = [key for key in whole if key and "." not in key]
    assert json.loads(Fields([[name] for name in names]).project(line)) == {name: whole[name] for name in names}
    for format in ("csv", "markdown", "urls"):
        build_layout(format, terminal=True).page(line).decode()


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=4))
def test_any_row_is_read_back_by_others(cells: list[str]) -> None:
    assert list(csv.reader(io.StringIO(build_row(cells).decode(), newline=""), strict=True)) == [cells]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.integers(0, 3))
def test_any_order_is_put_right_whatever_is_missing(order: list[int], gone: set[int], strangers: int) -> None:
    numbered: list[tuple[int | None, bytes]] = [(number, b"%d" % number) for number in order if number not in gone]
    for number in range(strangers):
        numbered.insert(number * 2, (None, b"stranger %d" % number))
    there = [(number, b"%d" % number) for number in sorted(set(order) - gone)]
    assert list(in_order(numbered, None)) == there + [(None, b"stranger %d" % number) for number in range(strangers)]


def test_where_nothing_can_wait_is_said() -> None:
    with pytest.raises(UsageError, match="/nowhere"):
        list(in_order([(1, b"early")], Path("/nowhere")))
