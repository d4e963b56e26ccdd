"""A run of several jobs is one thing to every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_faults import refuse
from fake_jobs import FakeJob, make_failure, make_page
from fake_server import FakeServer
from invoking import User
from running import reader


def every_tenth_fails(job: FakeJob, urls: list[str]) -> None:
    for number, url in enumerate(urls):
        job.finish({**(make_failure(number) if number % 10 == 0 else make_page(number)), "url": url})
    job.end()


@pytest.fixture
def jobs(user: User, server: FakeServer) -> list[FakeJob]:
    """A finished run of 2,500 URLs in three jobs, called nightly."""
    server.process = every_tenth_fails
    submit(user, 2500, "--name", "nightly")
    return list(server.jobs.values())


def submit(user: User, urls: int, *argv: str) -> int:
    file = Path(user.environ["HOME"]) / "urls.txt"
    file.write_text("".join(f"https://a.test/{number}\n" for number in range(urls)))
    return user.run("submit", "-f", str(file), *argv).code


def test_status_watch_and_results(user: User, jobs: list[FakeJob]) -> None:
    status = user.run("status", "nightly")
    assert status.lines[-1] == "3 jobs  2,500/2,500 pages, 2,250 credits"
    assert [job["id"] for job in user.run("status", "nightly", "--json").objects] == [job.id for job in jobs]
    watched = reader("watch", "nightly", environ=user.environ)  # waiting takes a real clock
    assert watched.code == 5 and "3 jobs: 2,500 pages, 250 failed" in watched.err
    several = reader("watch", *(job.id for job in jobs), "--max-failures", "250", environ=user.environ)
    assert several.code == 0 and all(f"reader retry {job.id} --wait\n" in several.err for job in jobs)
    results = user.run("results", "nightly")
    assert [page["url"] for page in results.objects] == [f"https://a.test/{number}" for number in range(2500)]
    followed = reader("results", "nightly", "--follow", "--only", "failed", environ=user.environ)
    assert followed.code == 5 and len(followed.objects) == 250


def test_retry_takes_the_jobs_that_have_failures(user: User, server: FakeServer, jobs: list[FakeJob]) -> None:
    for index in range(0, 1000, 10):
        jobs[1].replace(index, {**make_page(0), "url": f"https://a.test/{1000 + index}"})
    jobs[1].end()
    jobs[1].completed = 1000
    retry = FakeJob.retry

    def retry_and_succeed(job: FakeJob) -> int:
        count = retry(job)
        for index in [index for index, page in enumerate(job.entries) if "error" in page]:
            job.replace(index, {**make_page(index), "url": job.entries[index]["url"]})
        job.end()
        return count

    for job in jobs:
        job.retry = retry_and_succeed.__get__(job)  # type: ignore[method-assign]
    done = reader("retry", "nightly", "--wait", "--json", environ=user.environ)
    assert done.code == 0 and [job["id"] for job in done.objects] == [job.id for job in jobs]
    assert not any("error" in page for page in user.run("results", "nightly").objects)
    assert user.run("retry", "nightly").code == 8


def test_retry_of_a_run_that_is_still_at_work(user: User, server: FakeServer, jobs: list[FakeJob]) -> None:
    server.inject(refuse(409, "conflict", {"status": "processing"}), match=f"{jobs[0].id}/retry")
    done = user.run("retry", "nightly", "--json")
    assert done.code == 0 and [answer["retrying"] for answer in done.objects] == [100, 50]
    server.inject(refuse(409, "conflict", {"status": "processing"}), match="/retry", times=3)
    assert user.run("retry", "nightly").code == 8


def test_cancel_stops_what_is_left_of_a_run(user: User, server: FakeServer) -> None:
    server.process = lambda job, urls: job.end() if job is next(iter(server.jobs.values())) else None
    submit(user, 2500, "--name", "nightly")
    done = user.run("cancel", "nightly", "--json")
    assert done.code == 0 and [answer["status"] for answer in done.objects] == ["cancelled"] * 2
    assert reader("watch", "nightly", environ=user.environ).code == 4
    assert user.run("cancel", "nightly").code == 8
    first, second, _ = server.jobs
    done = user.run("cancel", first, second)
    assert done.code == 8 and f"reader: {first}: " in done.err and f"reader: {second}: " in done.err


def test_an_incomplete_run_is_shown_resumed_and_forgotten(user: User, server: FakeServer) -> None:
    refusal = refuse(402, "insufficient_credits")
    server.inject(refusal, match="POST /v1/read", times=1)
    assert submit(user, 3, "--name", "never") == 6
    handle, posts = server.handle, 0

    def second_is_refused(request: Any) -> tuple[int, Any]:
        nonlocal posts
        posts += request.method == "POST"
        if posts == 2:
            return 402, {"success": False, "error": {"code": "insufficient_credits", "message": "no credits"}}
        return handle(request)

    server.handle = second_is_refused  # type: ignore[method-assign]
    assert submit(user, 1500, "--name", "half") == 6
    server.handle = handle  # type: ignore[method-assign]
    shown = user.run("jobs")
    half = next(line.split()[-1] for line in shown.err.splitlines() if "500 URLs of half" in line)
    assert (
        "3 URLs of never are not submitted yet: reader submit --resume run_" in shown.err
        and "planned" in shown.out.decode()
    )
    listed = user.run("jobs", "--json").objects
    assert [(job["name"], job["id"] is None, job["total"]) for job in listed] == [
        ("half", True, 500),
        ("half", False, 1000),
        ("never", True, 3),
    ]
    assert "reader submit --resume" in user.run("results", "half").err
    for other in (["https://b.test/"], ["--dry-run"], ["--name", "new"], ["--format", "html"], ["--max-credits", "1"]):
        assert user.run("submit", "--resume", half, *other).code == 2  # and none of it is passed over
    assert user.run("submit", "--resume", half).code == 0
    assert "--resume" not in user.run("results", "half").err
    assert user.run("jobs", "forget", "never", "half").code == 0
    assert user.run("jobs", "--json").objects == [] and user.run("jobs", "forget", "never").code == 7


def test_the_history_learns_how_jobs_ended(user: User, jobs: list[FakeJob]) -> None:
    reader("watch", "nightly", environ=user.environ)
    told = user.run("jobs", "--json").objects
    assert [(job["status"], job["completed"], job["failed"]) for job in told] == [
        ("completed", 500, 50),
        ("completed", 1000, 100),
        ("completed", 1000, 100),
    ]
    assert json.loads(user.run("jobs", "--limit", "1", "--json").out)["id"] == jobs[2].id


def test_a_broken_history_fails_what_needs_it_alone(user: User, server: FakeServer, jobs: list[FakeJob]) -> None:
    folder = Path(user.environ["XDG_STATE_HOME"]) / "reader"
    for file in folder.glob("history.db*"):
        file.unlink()
    (folder / "history.db").write_bytes(b"broken" * 1000)
    done = user.run("status", jobs[0].id)
    assert done.code == 0 and done.err.count("cannot be used") == len(done.err.splitlines()) == 1
    for call in (["jobs"], ["jobs", "forget", jobs[0].id], ["submit", "https://a.test/"]):
        done = user.run(*call, "--json") if call == ["jobs"] else user.run(*call)
        assert (done.code, done.out) == (2, b"") and "cannot be used" in done.err
