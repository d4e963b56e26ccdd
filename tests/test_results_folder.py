"""`reader results --output-dir`: one file a page, wherever its URL would like to put it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_faults import cut
from fake_jobs import FakeJob, make_failure, make_pages
from fake_server import FakeServer
from hypothesis import given
from hypothesis import strategies as st
from invoking import User

from reader_cli.output.names import build_stem


def finished(server: FakeServer, pages: list[Any]) -> FakeJob:
    job = server.add(FakeJob(len(pages)))
    for page in pages:
        job.finish(page)
    job.end()
    return job


def test_a_folder_of_pages(user: User, server: FakeServer, tmp_path: Path) -> None:
    urls = ["https://a.test/A", "https://a.test/a", "https://a.test/../../x", "https://a.test/A", "https://a.test/é"]
    pages: list[Any] = [{"url": url, "markdown": f"text {n}\x1b[2J"} for n, url in enumerate(urls)]
    pages += [
        make_failure(1),
        {"url": "https://h.test/", "html": "<p>"},
        {"url": "https://e.test/", "extracted": {"a": 1}},
    ]
    job = finished(server, pages)
    folder = tmp_path / "deep" / "pages"
    assert user.run("results", job.id, "--output-dir", str(folder)).code == 0
    manifest = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [entry["url"] for entry in manifest] == [page["url"] for page in pages]
    names = [entry["file"] for entry in manifest]
    assert names[5] is None and manifest[5]["status"] == "failed" and manifest[5]["error"] == "HTTP 500"
    written = [name for name in names if name]
    assert {path.name for path in folder.iterdir()} == {*written, "manifest.jsonl"}
    assert len({name.lower() for name in written}) == 7
    assert [(folder / name).read_text() for name in names[:5]] == [f"text {n}[2J\n" for n in range(5)]
    assert names[6].endswith(".html") and json.loads((folder / names[7]).read_text()) == pages[7]
    assert user.run("results", job.id, "--output-dir", str(folder)).code == 2
    assert user.run("results", job.id, "--output-dir", str(folder), "--force").code == 0
    assert [json.loads(line)["file"] for line in (folder / "manifest.jsonl").read_text().splitlines()] == names
    assert user.run("results", job.id, "--output-dir", str(folder / "whole"), "--format", "json").code == 0
    assert len(list((folder / "whole").glob("*.json"))) == 8


def test_a_folder_that_was_cut_has_no_manifest(user: User, server: FakeServer, tmp_path: Path) -> None:
    job = finished(server, make_pages(30))
    server.inject(cut(300), match="skip=10", times=100)
    assert user.run("results", job.id, "--output-dir", str(tmp_path / "pages")).code == 9
    assert len(list((tmp_path / "pages").iterdir())) == 10
    server.stop_injecting()
    assert user.run("results", job.id, "--output-dir", str(tmp_path / "pages")).code == 0
    assert len(list((tmp_path / "pages").iterdir())) == 31


@given(st.text(), st.sampled_from(["", "https://", "../../", "C:\\", "con.", "a" * 3000]))
def test_no_url_chooses_its_name(text: str, start: str) -> None:
    name = build_stem(start + text)
    assert name.isascii() and name.replace("-", "").isalnum() and name.lower() == name and len(name) <= 101
    assert name[-21] == "-" and name == build_stem(start + text)
    assert build_stem(start + text + "x") != name != build_stem(start + text, 2)
