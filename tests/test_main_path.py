"""The whole main path: the installed command, the real engine, real pages over real HTTP."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from running import engine_state, kill_engine, reader, start
from site_server import Site
from terminal.screen import Terminal


@pytest.fixture
def site() -> Site:  # type: ignore[misc]
    with Site() as running:
        yield running


def write_urls(home: dict[str, str], urls: list[str]) -> str:
    file = Path(home["HOME"]) / "urls.txt"
    file.write_text("\n".join(urls))
    return str(file)


def test_200_pages_come_out_each_once(home: dict[str, str], site: Site) -> None:
    urls = site.urls(200)
    done = reader("submit", "-f", write_urls(home, urls), "--wait", "--results", environ=home)
    assert done.code == 0
    assert sorted(page["url"] for page in done.objects) == sorted(urls)
    assert all(f"page /{n}." in page["markdown"] for page in done.objects if (n := page["url"].rpartition("/")[2]))


def test_a_failed_page_is_exit_5_until_a_retry_mends_it(home: dict[str, str], site: Site) -> None:
    site.broken.add("/7")
    urls = site.urls(30)
    done = reader("submit", "-f", write_urls(home, urls), "--wait", "--results", environ=home)
    assert done.code == 5
    failed = [page for page in done.objects if "error" in page]
    assert [page["url"] for page in failed] == [urls[7]] and len(done.objects) == 30
    assert "HTTP 500" in failed[0]["error"]
    assert "HTTP 500" in done.err and "reader retry " in done.err and "reader results " in done.err
    assert reader("watch", "@last", environ=home).code == 5
    assert reader("watch", "@last", "--max-failures", "1", environ=home).code == 0
    assert reader("watch", "@last", "--max-failures", "4%", environ=home).code == 0
    site.broken.clear()
    assert reader("retry", "@last", "--wait", environ=home).code == 0
    again = reader("results", "@last", environ=home)
    assert sorted(page["url"] for page in again.objects) == sorted(urls)
    assert not [page for page in again.objects if "error" in page]
    nothing = reader("retry", "@last", "--json", environ=home)
    assert nothing.code == 8 and json.loads(nothing.err)["exitCode"] == 8


def test_only_ok_or_failed_and_a_file_that_is_whole_or_not_there(home: dict[str, str], site: Site) -> None:
    site.broken.add("/1")
    reader("submit", *site.urls(3), "--wait", "--name", "trio", environ=home)
    assert len(reader("results", "trio", "--only", "ok", environ=home).objects) == 2
    assert [page["url"] for page in reader("results", "trio", "--only", "failed", environ=home).objects] == [
        site.urls(3)[1]
    ]
    file = Path(home["HOME"]) / "pages.jsonl"
    assert reader("results", "trio", "-o", str(file), environ=home).code == 0
    whole = file.read_bytes()
    assert len(whole.splitlines()) == 3 and not file.with_name("pages.jsonl.part").exists()
    refused = reader("results", "trio", "-o", str(file), environ=home)
    assert refused.code == 2 and "--force" in refused.err and file.read_bytes() == whole
    assert reader("results", "trio", "-o", str(file), "--force", environ=home).code == 0


def test_the_engine_is_killed_in_the_middle_and_every_url_comes_once(home: dict[str, str], site: Site) -> None:
    site.delay = 0.05
    urls = site.urls(200)
    job = reader("submit", "-f", write_urls(home, urls), environ=home).lines[0]
    process = start("watch", job, "--json", environ=home)
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("completed", 0) >= 20:
            break
    kill_engine(home)
    process.communicate(timeout=90)
    assert process.returncode == 0  # the waiting command has started the engine again by itself
    results = reader("results", job, environ=home)
    assert sorted(page["url"] for page in results.objects) == sorted(urls)


def test_the_next_command_starts_a_killed_engine_again(home: dict[str, str], site: Site) -> None:
    site.delay = 0.02
    urls = site.urls(60)
    job = reader("submit", "-f", write_urls(home, urls), environ=home).lines[0]
    kill_engine(home)
    done = reader("results", job, "--follow", environ=home)
    assert done.code == 0
    assert sorted(page["url"] for page in done.objects) == sorted(urls)


def test_cancel_keeps_what_is_finished(home: dict[str, str], site: Site) -> None:
    site.slow = {f"/{n}": 60.0 for n in range(5, 40)}
    job = reader("submit", *site.urls(40), environ=home).lines[0]
    watching = start("watch", job, "--json", environ=home)
    assert watching.stdout
    for line in watching.stdout:
        if json.loads(line).get("completed", 0) >= 3:
            break
    cancelled = reader("cancel", job, "--json", environ=home)
    assert cancelled.code == 0 and cancelled.objects[0]["status"] == "cancelled"
    out, _ = watching.communicate(timeout=30)
    assert watching.returncode == 4
    assert json.loads(out.splitlines()[-1])["status"] == "cancelled"
    assert reader("status", job, environ=home).code == 0
    assert 3 <= len(reader("results", job, environ=home).objects) <= 5
    assert reader("cancel", job, environ=home).code == 8


def test_a_crawl_stays_on_its_host_and_keeps_its_limit(home: dict[str, str], site: Site) -> None:
    site.links = {"/": [f"/{n}" for n in range(9)], "/3": ["/deep", "http://example.invalid/away"]}
    done = reader(
        "submit", f"{site.url}/", "--crawl", "--max-depth", "3", "--max-pages", "6", "--wait", "--results", environ=home
    )
    assert done.code == 0
    urls = [page["url"] for page in done.objects]
    assert len(urls) == len(set(urls)) == 6 and all(url.startswith(site.url) for url in urls)


def test_head_takes_one_line_and_nothing_is_said(home: dict[str, str], site: Site) -> None:
    job = reader("submit", *site.urls(50), "--wait", environ=home).lines[0]
    process = start("results", job, environ=home)
    assert process.stdout and process.stderr
    first = process.stdout.readline()
    process.stdout.close()
    assert json.loads(first)["url"].startswith(site.url)
    assert process.stderr.read() == b""
    assert process.wait(30) in (0, 141)  # 50 short pages may fit into the pipe before it is closed


def test_a_closed_pipe_is_exit_141(home: dict[str, str], site: Site) -> None:
    site.bodies = {f"/{n}": b"<main><p>" + b"much text of a long page, " * 8000 + b"</p></main>" for n in range(20)}
    job = reader("submit", *site.urls(20), "--wait", environ=home).lines[0]
    process = start("results", job, environ=home)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 141


def test_a_wrong_key_is_exit_6_and_one_clear_message(home: dict[str, str]) -> None:
    reader("credits", environ=home)
    url = json.loads(engine_state(home).read_bytes())["url"]
    wrong = {**home, "READER_API_URL": url, "READER_API_KEY": "rdr_wrong"}
    done = reader("status", "job_1", environ=wrong)
    assert done.code == 6 and done.out == b""
    assert "unauthenticated" in done.err and "rdr_wrong" not in done.err
    told = json.loads(reader("status", "job_1", "--json", environ=wrong).err)
    assert told["error"]["code"] == "unauthenticated" and told["error"]["requestId"] and told["exitCode"] == 6


def test_an_unknown_job_is_exit_7(home: dict[str, str]) -> None:
    assert reader("status", "job_nope", environ=home).code == 7
    assert reader("status", "@last", environ=home).code == 7


def test_ctrl_c_detaches_and_the_last_words_lead_back(home: dict[str, str], site: Site) -> None:
    site.slow = {"/2": 60.0}
    job = reader("submit", *site.urls(3), environ=home).lines[0]
    process = start("watch", job, environ=home)
    assert process.stderr
    while b"2/3" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.decode().splitlines()[-2:] == [f"reader watch {job}", f"reader cancel {job}"]
    assert reader("status", job, "--json", environ=home).objects[0]["status"] == "processing"


def test_sigterm_is_exit_143_and_leaves_the_cursor_visible(home: dict[str, str], site: Site) -> None:
    site.slow = {"/2": 60.0}
    job = reader("submit", *site.urls(3), environ=home).lines[0]
    with Terminal("watch", job, environ=home) as terminal:
        terminal.wait_for(b"2/3")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.finish() == 143
        assert terminal.seen.rfind(b"\x1b[?25h") > terminal.seen.rfind(b"\x1b[?25l") >= 0


def test_the_bar_is_drawn_on_a_terminal_and_stdout_stays_data(home: dict[str, str], site: Site) -> None:
    site.broken.add("/4")
    file = Path(home["HOME"]) / "out.jsonl"
    command = ("submit", *site.urls(20), "--wait", "--results")
    with Terminal(*command, environ=home, columns=120, stdout=file) as terminal:
        assert terminal.finish() == 5
        seen = terminal.seen.decode()
    assert "20/20" in seen and "1 failed" in seen and "sse" in seen and "\x1b[?25l" in seen
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 20


def test_without_a_terminal_there_are_plain_lines(home: dict[str, str], site: Site) -> None:
    done = reader("submit", *site.urls(20), "--wait", environ=home)
    assert "\x1b" not in done.err and "20/20" in done.err
    assert done.lines and done.lines[0].startswith("job_")


def test_a_timeout_is_exit_124_and_the_job_goes_on(home: dict[str, str], site: Site) -> None:
    site.slow = {"/0": 60.0}
    done = reader("submit", *site.urls(1), "--wait", "--timeout", "1s", environ=home)
    assert done.code == 124 and "reader watch " in done.err
    assert reader("status", "@last", "--json", environ=home).objects[0]["status"] == "processing"


def test_nothing_is_left_in_the_environment_of_a_pipe(home: dict[str, str], site: Site) -> None:
    """The background engine holds none of its starter's descriptors: a pipe through the first command ends."""
    done = reader("submit", *site.urls(1), environ=home, timeout=30)
    assert done.code == 0
    assert engine_state(home).exists()


def test_local_status_and_stop(home: dict[str, str]) -> None:
    assert reader("local", "status", environ=home).code == 7
    reader("credits", environ=home)
    facts = reader("local", "status", "--json", environ=home).objects[0]
    assert set(facts) == {"pid", "url", "version", "startedAt", "dataDir", "activeJobs", "diskBytes"}
    assert reader("local", "stop", environ=home).code == 0
    assert reader("local", "status", environ=home).code == 7
    assert oct(engine_state(home).parent.stat().st_mode & 0o777) == "0o700"


def test_two_commands_that_start_at_once_share_one_engine(home: dict[str, str]) -> None:
    both = [start("local", "status", environ=home), *(start("credits", environ=home) for _ in range(4))]
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both[1:]] == [0, 0, 0, 0]
    assert reader("local", "status", environ=home).code == 0


def test_the_demo_shows_failure_and_exits_0(home: dict[str, str]) -> None:
    done = reader("demo", environ=home)
    assert done.code == 0
    assert len(done.objects) >= 8 and len([page for page in done.objects if "error" in page]) == 1
    assert "1 failed" in done.err and "reader retry " in done.err
