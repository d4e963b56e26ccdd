"""`reader results -o` and `--output-dir`: whole or not at all, whatever happens in between."""

from __future__ import annotations

import fcntl
import json
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_faults import html
from fake_jobs import FakeJob, make_page, make_pages
from fake_server import FakeServer
from invoking import User
from running import READER, Finished, reader, start

COLLECTOR = Path(__file__).with_name("collector.py")


def finished(server: FakeServer, pages: list[Any]) -> FakeJob:
    job = server.add(FakeJob(len(pages)))
    for page in pages:
        job.finish(page)
    job.end()
    return job


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pages.jsonl"


@pytest.fixture
def part(file: Path) -> Path:
    return file.with_name("pages.jsonl.part")


def jsonl(*jobs: FakeJob) -> bytes:
    return b"".join(json.dumps(page, separators=(", ", ": ")).encode() + b"\n" for job in jobs for page in job.entries)


def test_ctrl_c_while_nobody_reads_cuts_no_line_and_writes_none_twice(user: User, server: FakeServer) -> None:
    job = finished(server, [make_page(number, size=20_000) for number in range(60)])
    process = start("results", job.id, environ=user.environ)
    assert process.stdout and process.stderr
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
    begun = process.stdout.read1(1)  # the rest waits for the pipe
    process.send_signal(signal.SIGINT)
    written = begun + process.stdout.read()
    assert (process.wait(20), process.stderr.read()) == (130, b"")
    assert written.endswith(b"}\n") and jsonl(job).startswith(written)


def test_ctrl_c_twice_ends_it_though_nobody_reads(user: User, server: FakeServer) -> None:
    job = finished(server, [make_page(number, size=20_000) for number in range(60)])
    process = start("results", job.id, environ=user.environ)
    assert process.stdout and process.stderr
    process.stdout.read1(1)
    while process.returncode is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    assert (process.returncode, process.stderr.read()) == (130, b"")


def test_a_file_is_there_when_it_is_whole(user: User, server: FakeServer, file: Path, part: Path) -> None:
    job = finished(server, make_pages(30))
    server.inject(html(500), match="skip=10", times=100)
    broken = user.run("results", job.id, "-o", str(file))
    assert broken.code == 9 and not file.exists() and "--resume" in broken.err
    assert part.read_bytes() == jsonl(job)[: part.stat().st_size] != b""
    server.stop_injecting()
    assert user.run("results", job.id, "-o", str(file)).code == 0
    assert file.read_bytes() == jsonl(job) and not part.exists()
    refused = user.run("results", job.id, "-o", str(file))
    assert refused.code == 2 and "--force" in refused.err
    file.write_bytes(b"old")
    file.chmod(0o600)
    server.inject(html(500), match="skip=10", times=100)
    assert user.run("results", job.id, "-o", str(file), "--force").code == 9
    assert file.read_bytes() == b"old"
    server.stop_injecting()
    link = file.with_name("link")
    link.symlink_to(file)
    assert user.run("results", job.id, "-o", str(link), "--force").code == 0
    assert file.read_bytes() == jsonl(job) and link.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_left_of_what_never_began(user: User, server: FakeServer, file: Path, part: Path) -> None:
    assert user.run("results", "job_nope", "-o", str(file)).code == 7
    assert not part.exists() and not file.exists()


def test_resume_reads_what_is_missing(user: User, server: FakeServer, file: Path, part: Path) -> None:
    jobs = [finished(server, make_pages(count, failing=[7])) for count in (450, 0, 320)]
    ids, whole = [job.id for job in jobs], jsonl(*jobs)
    for size in (
        0,
        1,
        whole.index(b"\n"),
        whole.index(b"\n") + 1,
        len(whole) // 3,
        len(jsonl(jobs[0])),
        len(whole) - 1,
    ):
        part.write_bytes(whole[:size])
        server.requests.clear()
        done = user.run("results", *ids, "-o", str(file), "--resume")
        assert done.code == 0 and file.read_bytes() == whole and not part.exists() and "again" not in done.err
        file.unlink()
    assert not [request for request in server.requests if "skip=100" in str(request)]  # what is there is believed
    part.write_bytes(whole)
    assert user.run("results", *ids, "-o", str(file), "--resume").code == 0 and file.read_bytes() == whole
    server.requests.clear()
    done = user.run("results", *ids, "-o", str(file), "--resume")
    assert done.code == 0 and "nothing to do" in done.err and not server.requests


def test_resume_starts_again_where_the_overlap_differs(user: User, server: FakeServer, file: Path, part: Path) -> None:
    job, other = finished(server, make_pages(250, failing=[3])), finished(server, make_pages(20))
    before = jsonl(job, other)
    job.replace(3, make_page(3))  # a retry, after the file was cut
    job.end()
    whole = jsonl(job, other)
    for old in (
        before[:20_000],
        before,
        whole + b'{"more": 1}\n',
        b"no results\n" * 3,
        whole[:9000] + bytes(999) + whole[9999:],
    ):
        part.write_bytes(old)
        done = user.run("results", job.id, other.id, "-o", str(file), "--resume")
        assert done.code == 0 and "starting again" in done.err
        assert file.read_bytes() == whole
        file.unlink()


@pytest.mark.parametrize(
    "options",
    [
        "--format json",
        "--format csv",
        "--format markdown",
        "--only ok",
        "--fields url",
        "--skip 3 --limit 200",
        "--follow",
    ],
)
def test_resume_of_any_format_gives_the_same_bytes(
    user: User, server: FakeServer, file: Path, part: Path, options: str
) -> None:
    job = finished(server, [*make_pages(250, failing=[9]), {"url": "https://a.test/", "markdown": "two\nlines"}])
    command = ["results", job.id, *options.split(), "--max-failures", "9", "-o", str(file)]
    if options != "--follow":
        del command[-4:-2]
    assert user.run(*command).code == 0
    whole = file.read_bytes()
    for size in (1, len(whole) // 2, len(whole) - 1, len(whole)):
        part.write_bytes(whole[:size])
        done = user.run(*command, "--resume", "--force")
        assert done.code == 0 and file.read_bytes() == whole and "again" not in done.err
        part.write_bytes(whole[:size] + b"?" * 70_000)
        done = user.run(*command, "--resume", "--force")
        assert done.code == 0 and file.read_bytes() == whole and "starting again" in done.err


def test_two_that_write_one_file_do_not_mix(home: dict[str, str], server: FakeServer, file: Path) -> None:
    job = server.add(FakeJob(3))
    job.finish(make_page(0))
    environ = {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}
    following = start("results", job.id, "--follow", "-o", str(file), environ=environ)
    wait_until(lambda: file.with_name("pages.jsonl.part").exists())
    wait_until(lambda: file.with_name("pages.jsonl.part").stat().st_size > 0)
    second = reader("results", job.id, "-o", str(file), environ=environ)
    assert second.code == 8 and "another process" in second.err
    job.play(make_pages(3)[1:])
    assert following.wait(30) == 0
    following.communicate()
    assert file.read_bytes() == jsonl(job)


def test_follow_survives_drops_and_being_killed(
    home: dict[str, str], server: FakeServer, file: Path, part: Path
) -> None:
    server.streams.cut_after = 7
    job = server.add(FakeJob(60))
    environ = {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}
    command = ("results", job.id, "--follow", "--resume", "-o", str(file))
    pages = make_pages(60)
    for upto in (20, 40):
        following = start(*command, environ=environ)
        for page in pages[upto - 20 : upto]:
            job.finish(page)
        wait_until(lambda: part.exists() and part.read_bytes().count(b"\n") == len(job.entries))
        following.kill()
        following.communicate()
    job.play(pages[40:])
    assert reader(*command, environ=environ).code == 0
    assert file.read_bytes() == jsonl(job)


def test_ctrl_c_tells_how_to_go_on(home: dict[str, str], server: FakeServer, file: Path, part: Path) -> None:
    job = finished(server, make_pages(300))
    environ = {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}
    server.inject(lambda exchange: exchange.server.stopping.wait(60) and None, match="skip=210")
    process = start("results", job.id, "-o", str(file), environ=environ)
    wait_until(lambda: server.count("skip=210") > 0)
    wait_until(lambda: part.exists())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and b"--resume" in err and not file.exists()
    assert reader("results", job.id, "-o", str(file), "--resume", environ=environ).code == 0
    assert file.read_bytes() == jsonl(job)


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Collecting:
    """`collector.py` at work: processes that can be killed, started within a millisecond."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(COLLECTOR)], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *argv: str, kill_after: float | None = None) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"argv": argv, "kill_after": kill_after}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate()


@pytest.fixture
def collecting(home: dict[str, str], server: FakeServer) -> Iterator[Collecting]:
    running = Collecting({**home, "READER_API_URL": server.url, "READER_API_KEY": server.key})
    yield running
    running.stop()


@pytest.mark.parametrize(("options", "kills"), [("", 50), ("--format csv", 15)])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    collecting: Collecting, server: FakeServer, file: Path, part: Path, options: str, kills: int
) -> None:
    ids = [finished(server, [make_page(n, size=900) for n in range(count)]).id for count in (250, 150, 200)]
    command = ["results", *ids, *options.split(), "-o", str(file)]
    assert collecting.run(*command, "--resume") == 0  # what is imported late is there now
    began = time.monotonic()
    assert collecting.run(*command, "--force") == 0
    took, whole, cut = time.monotonic() - began, file.read_bytes(), 0
    moments = random.Random(9)
    for number in range(kills):
        if number % 5 == 0:
            assert collecting.run(*command, "--resume") == 0
            assert file.read_bytes() == whole and not part.exists()
            file.unlink()
        collecting.run(*command, "--resume", kill_after=moments.uniform(0, took))
        assert not file.exists() or file.read_bytes() == whole
        cut += part.exists() and part.stat().st_size > 0
    assert cut


def test_a_full_disk_is_said_in_one_sentence(home: dict[str, str], server: FakeServer, file: Path, part: Path) -> None:
    job = finished(server, [make_page(n, size=2000) for n in range(100)])
    environ = {**home, "READER_API_URL": server.url, "READER_API_KEY": server.key}
    file.write_bytes(b"old")
    for options in (["-o", str(file), "--force"], ["--output-dir", str(file.with_name("pages")), "--format", "json"]):
        size = 50_000 if "-o" in options else 1000
        done = limited(size, "results", job.id, *options, environ=environ)
        assert done.code == 2 and "cannot be written: File too large" in done.err and done.err.count("\n") <= 2
    assert file.read_bytes() == b"old" and not file.with_name("pages").joinpath("manifest.jsonl").exists()
    assert not list(file.with_name("pages").glob("*.part"))
    assert reader("results", job.id, "-o", str(file), "--force", "--resume", environ=environ).code == 0
    assert file.read_bytes() == jsonl(job)
    with Path("/dev/full").open("wb") as full:
        process = start("results", job.id, environ=environ, stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2 and err == b"reader: standard output: No space left on device\n"


def limited(size: int, *argv: str, environ: dict[str, str]) -> Finished:
    """`reader` that may write no file of more than `size` bytes."""
    done = subprocess.run(
        [READER, *argv],
        env=environ,
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    return Finished(done.returncode, done.stdout, done.stderr.decode())


def test_what_cannot_be_written_is_said(user: User, server: FakeServer, tmp_path: Path) -> None:
    job = finished(server, make_pages(3))
    file = tmp_path / "file"
    file.touch()
    for target in (f"{tmp_path}/nowhere/x", f"{file}/x", str(tmp_path), f"{tmp_path}/{'x' * 300}", "/proc/x"):
        done = user.run("results", job.id, "-o", target)
        assert done.code == 2 and target in done.err and done.err.count("\n") == 1
    assert user.run("results", job.id, "--output-dir", f"{file}/x").code == 2
    assert user.run("results", job.id, "-o", "/dev/null").code == 0
    assert user.run("results", job.id, "-o", "-").out == jsonl(job)
