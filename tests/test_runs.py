from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest
from fake_faults import Fault, html, lose_answer, rate_limited, refuse
from fake_server import KEY, FakeServer, Request

from reader_cli.client.api import Client
from reader_cli.errors import ApiError, MaybeAccepted, Unreachable, UsageError
from reader_cli.events import Notice
from reader_cli.history import History, Run
from reader_cli.inputs import Item
from reader_cli.models import Mode
from reader_cli.runs import RunPlan, record_run, submit_run

SUBMITTER = Path(__file__).with_name("submitter.py")


class Submitting:
    """A history, a client and a clock of its own; `submit` runs a plan or a run to its end."""

    def __init__(self, server: FakeServer, path: Path) -> None:
        self.server = server
        self.path = path
        self.history = History.open(path)
        self.time = 1_000_000.0
        self.slept: list[float] = []
        self.notices: list[Notice] = []
        self.while_asleep: Callable[[], object] = lambda: None

    def plan(self, urls: int, **options: Any) -> RunPlan:
        items = [Item(f"https://a.example/{number}", None, "-", number) for number in range(urls)]
        return RunPlan(self.server.url, options.pop("body", {}), items, **options)

    def record(self, urls: int, **options: Any) -> Run:
        return record_run(self.history, self.plan(urls, **options), now=self.time)

    def submit(self, run: Run, *, secret: str | None = None, patience: float = 0.3) -> list[str]:
        with Client(self.server.url, KEY, patience=patience) as client:
            jobs = submit_run(
                client, self.history, run, secret=secret, notify=self.notices.append, now=self.now, sleep=self.sleep
            )
            return [job["id"] for job in jobs]

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        self.while_asleep()

    def states(self, run: Run) -> list[str]:
        return [part.state for part in self.history.get_run(run.id).parts]

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.server.requests if request.method == "POST"]

    @property
    def keys(self) -> list[str]:
        return [request.headers["x-idempotency-key"] for request in self.posts]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def submitting(server: FakeServer, tmp_path: Path) -> Submitting:
    return Submitting(server, tmp_path / "history.db")


def limit(server: FakeServer, most: int) -> None:
    """No more than `most` active jobs; what was answered under a key, refusals too, is answered again."""
    right, refused, lock = server.handle, {}, threading.Lock()

    def handle(request: Request) -> tuple[int, Any]:
        key = request.headers.get("x-idempotency-key", "")
        with lock:
            active = sum(not job.terminal for job in server.jobs.values())
            if request.method == "POST" and key not in server.by_key and (active >= most or key in refused):
                error = {"code": "concurrency_limited", "message": "full", "details": {"active": active, "max": most}}
                return refused.setdefault(key, (429, {"success": False, "error": error}))
            return right(request)

    server.handle = handle  # type: ignore[method-assign]
    server.process = lambda job, urls: None


def end_oldest(server: FakeServer) -> None:
    job = next((job for job in server.jobs.values() if not job.terminal), None)
    if job:
        job.end()


def test_a_run_of_three_thousand_urls(submitting: Submitting) -> None:
    run = submitting.record(2500, body={"cache": False}, name="nightly")
    assert submitting.submit(run) == list(submitting.server.jobs)
    bodies = [json.loads(request.body) for request in submitting.posts]
    assert [len(body["urls"]) for body in bodies] == [1000, 1000, 500]
    assert [url for body in bodies for url in body["urls"]] == [f"https://a.example/{n}" for n in range(2500)]
    assert all(body["cache"] is False for body in bodies)
    assert bodies == list(submitting.plan(2500, body={"cache": False}).bodies())
    assert submitting.keys == [f"{run.id}-{number}" for number in (1, 2, 3)]
    assert submitting.submit(run) == list(submitting.server.jobs) and len(submitting.posts) == 3


def test_a_crawl_has_one_url_and_a_key_of_the_users_own_stays(submitting: Submitting) -> None:
    run = submitting.record(1, mode=Mode.CRAWL, body={"maxDepth": 3}, key="mine")
    submitting.submit(run)
    submitting.submit(submitting.record(1001, key="mine"))
    assert json.loads(submitting.posts[0].body) == {"url": "https://a.example/0", "maxDepth": 3}
    assert submitting.keys == ["mine", "mine-1", "mine-2"]
    for wrong in ({"mode": Mode.CRAWL}, {"key": "a b"}, {"name": "@last"}, {"name": "job_1"}):
        with pytest.raises(UsageError):
            submitting.plan(2, **wrong)


def test_what_is_sent_was_written_down_before(submitting: Submitting) -> None:
    seen = []
    right = submitting.server.handle

    def handle(request: Request) -> tuple[int, Any]:
        seen.append([(part.state, part.key) for part in History.open(submitting.path).get_run(run.id).parts])
        return right(request)

    submitting.server.handle = handle  # type: ignore[method-assign]
    run = submitting.record(1500)
    submitting.submit(run)
    one, two = (f"{run.id}-{number}" for number in (1, 2))
    assert seen == [[("sent", one), ("planned", two)], [("accepted", one), ("sent", two)]]


# Lost answers


def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(submitting: Submitting) -> None:
    submitting.server.inject(lose_answer, match="POST", times=2)
    run = submitting.record(1500)
    assert len(submitting.submit(run, patience=5)) == 2 == len(submitting.server.jobs)
    assert len(submitting.keys) == 4 and len(set(submitting.keys)) == 2


def test_an_answer_that_stays_lost_is_told_and_resumed(submitting: Submitting) -> None:
    submitting.server.inject(lose_answer, match="POST", times=100)
    run = submitting.record(1500)
    with pytest.raises(MaybeAccepted) as caught:
        submitting.submit(run)
    assert f"reader submit --resume {run.id}" in caught.value.hint
    assert submitting.states(run) == ["sent", "planned"] and len(submitting.server.jobs) == 1
    submitting.server.stop_injecting()
    submitting.server.inject(refuse(402, "insufficient_credits"), match="POST")
    with pytest.raises(ApiError):
        submitting.submit(run)
    assert submitting.states(run) == ["sent", "planned"]  # the refusal may hide the acceptance
    assert submitting.submit(run) == list(submitting.server.jobs) and len(submitting.server.jobs) == 2


def test_a_lost_job_that_fills_the_house_is_found_again(submitting: Submitting) -> None:
    """The answer is lost, and the repetition is refused because of the very job that it started."""
    limit(submitting.server, 1)
    submitting.server.inject(lose_answer, match="POST")
    submitting.server.inject(refuse(429, "concurrency_limited", {"active": 1, "max": 1}), match="POST")
    submitting.while_asleep = lambda: end_oldest(submitting.server)
    assert submitting.submit(submitting.record(1), patience=5) == list(submitting.server.jobs)
    assert len(submitting.server.jobs) == 1 and len(set(submitting.keys)) == 1


def test_after_23_hours_an_unanswered_part_is_not_repeated_but_all_others_are_sent(submitting: Submitting) -> None:
    run = submitting.record(2500)
    submitting.history.mark_sent(run.parts[0], submitting.time)
    submitting.time += 22 * 3600
    submitting.history.mark_sent(
        submitting.history.get_run(run.id).parts[0], submitting.time
    )  # again: the first counts
    submitting.time += 2 * 3600
    with pytest.raises(MaybeAccepted, match="more than 23 hours") as caught:
        submitting.submit(run)
    assert "https://a.example/0" in caught.value.hint and "usage" in caught.value.hint
    assert submitting.states(run) == ["sent", "accepted", "accepted"] and len(submitting.posts) == 2


def test_a_server_that_is_not_there_leaves_nothing_in_doubt(submitting: Submitting) -> None:
    submitting.server.stop()
    run = submitting.record(1)
    with pytest.raises(Unreachable):
        submitting.submit(run)
    assert submitting.states(run) == ["planned"]


# Refusals


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (402, "insufficient_credits"), (418, "teapot")])
def test_a_definite_refusal_ends_it_and_the_next_try_has_a_fresh_key(
    submitting: Submitting, status: int, code: str
) -> None:
    run = submitting.record(1500)
    submitting.server.inject(lambda exchange: exchange.send(exchange.answer()), match="POST")
    submitting.server.inject(refuse(status, code), match="POST")
    with pytest.raises(ApiError) as caught:
        submitting.submit(run)
    assert caught.value.code == code and f"reader submit --resume {run.id}" in caught.value.hint
    assert submitting.submit(run) == list(submitting.server.jobs)
    assert submitting.keys == [f"{run.id}-1", f"{run.id}-2", f"{run.id}-2.2"]


def test_refusals_that_pass_are_waited_out_visibly(submitting: Submitting) -> None:
    faults: list[Fault] = [rate_limited(7), refuse(500, "internal_error"), html(502), rate_limited()]
    for fault in faults:
        submitting.server.inject(fault, match="POST")
    run = submitting.record(1)
    assert len(submitting.submit(run, patience=5)) == 1 == len(submitting.server.jobs)
    assert 7 <= submitting.slept[0] < 8 and "7 s" in submitting.notices[0].message
    submitting.server.inject(rate_limited(60), match="POST", times=100)
    with pytest.raises(ApiError, match="rate_limited"):
        submitting.submit(submitting.record(1))


def test_a_full_house_is_waited_out_by_looking_at_the_runs_own_jobs(submitting: Submitting) -> None:
    limit(submitting.server, 2)
    naps = iter(range(1, 10_000))
    submitting.while_asleep = lambda: end_oldest(submitting.server) if next(naps) % 3 == 0 else None
    run = submitting.record(4500)
    assert submitting.submit(run) == list(submitting.server.jobs) and len(submitting.server.jobs) == 5
    assert "(2 at once)" in submitting.notices[0].message and len(submitting.slept) == 9
    assert len(submitting.keys) == 8 == len(set(submitting.keys))  # never a key that was refused
    assert [part.status for part in submitting.history.get_run(run.id).parts].count("completed") == 3


def test_a_house_full_of_others_jobs_is_tried_with_growing_pauses(submitting: Submitting) -> None:
    submitting.server.inject(refuse(429, "concurrency_limited"), match="POST", times=6)
    assert len(submitting.submit(submitting.record(1))) == 1
    assert submitting.slept == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_a_slot_that_somebody_else_frees_is_taken_within_a_minute(submitting: Submitting) -> None:
    run = submitting.record(1500)
    submitting.server.process = lambda job, urls: None  # for ever
    submitting.server.inject(lambda exchange: exchange.send(exchange.answer()), match="POST")
    submitting.server.inject(refuse(429, "concurrency_limited"), match="POST")
    assert len(submitting.submit(run)) == 2
    assert 60 <= sum(submitting.slept) <= 75 and submitting.server.count("GET /v1/jobs/") <= 7


# Histories and secrets


def test_without_a_history_only_a_key_of_ones_own_is_safe(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "history.db").mkdir()
    submitting = Submitting(server, tmp_path / "history.db")
    with pytest.raises(UsageError, match="nothing was sent") as caught:
        submitting.record(1)
    assert "--idempotency-key" in caught.value.hint and not server.requests
    for _ in range(2):
        assert len(submitting.submit(submitting.record(1500, key="mine"))) == 2
    assert len(server.jobs) == 2


def test_a_job_that_cannot_be_written_down_is_told_and_not_started_twice(
    submitting: Submitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = submitting.record(1500)

    def full(*_: object) -> None:
        raise UsageError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(submitting.history, "mark_accepted", full)
        first = submitting.submit(run)
    assert (
        first == list(submitting.server.jobs) and [notice.code for notice in submitting.notices] == ["unrecorded"] * 2
    )
    assert submitting.submit(run) == first and len(submitting.server.jobs) == 2


def test_a_webhook_secret_is_sent_never_kept_and_asked_for_again(submitting: Submitting) -> None:
    plan = submitting.plan(1, body={"webhook": {"url": "https://w.example", "secret": "correct-horse-battery"}})
    run = record_run(submitting.history, plan, now=0)
    with pytest.raises(UsageError) as caught:
        submitting.submit(run)
    assert "READER_WEBHOOK_SECRET" in caught.value.hint and not submitting.posts
    submitting.submit(run, secret=plan.secret)
    assert json.loads(submitting.posts[0].body)["webhook"] == plan.options["webhook"]
    submitting.submit(run)  # nothing is missing: no secret is needed


# kill -9

HINDRANCES: list[Fault] = [lose_answer, refuse(429, "concurrency_limited"), rate_limited(0.01), html(502)]


class Forks:
    """The submitter process: `start` has it submit or resume, `wait` returns what came of that, "" when killed."""

    def __init__(self, server: FakeServer, path: Path) -> None:
        argv = [sys.executable, str(SUBMITTER), server.url, str(path)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, resume: str | None, urls: int = 3500, kill_after: float | None = None) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"resume": resume, "urls": urls, "kill_after": kill_after}) + "\n")
        self.process.stdin.flush()

    def wait(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_kill_9_at_fifty_moments_loses_nothing_and_doubles_nothing(server: FakeServer, submitting: Submitting) -> None:
    history = submitting.history
    with Forks(server, submitting.path) as forks:
        run_ids = submit_and_kill(server, history, forks, kills=50)
    urls = {post.headers["x-idempotency-key"]: json.loads(post.body)["urls"] for post in server.requests if post.body}
    for run in (history.get_run(run_id) for run_id in run_ids):
        assert [server.by_key[part.key]["id"] for part in run.parts] == run.job_ids
        assert [url for part in run.parts for url in urls[part.key]] == [f"https://a.example/{n}" for n in range(3500)]
    assert len(server.jobs) == 4 * len(run_ids)


def submit_and_kill(server: FakeServer, history: History, forks: Forks, kills: int) -> list[str]:
    """Submits, is killed and resumes until so many kills are done and every run is whole; returns the runs."""
    rng, whole, whole_runs = random.Random(9), 0.0, 2
    for _ in range(whole_runs):  # the first is slow for the start of the process
        started = time.monotonic()
        forks.start(None)
        assert forks.wait()
        whole = time.monotonic() - started
    while kills > 0 or whole_runs < len(history.run_ids(server.url)):
        broken = len(history.run_ids(server.url)) > whole_runs
        server.inject(rng.choice(HINDRANCES), match="POST", times=rng.choice([0, 0, 1]))
        forks.start("@last" if broken else None, kill_after=rng.uniform(0, whole) if kills > 0 else None)
        if written := forks.wait():
            assert written.split() == history.get_run(history.run_ids(server.url)[0]).job_ids
            whole_runs += 1
        else:
            kills -= 1
    return history.run_ids(server.url)


def test_three_that_resume_one_run_at_once_post_it_once(server: FakeServer, submitting: Submitting) -> None:
    run = submitting.record(3500)
    with ExitStack() as stack:
        rivals = [stack.enter_context(Forks(server, submitting.path)) for _ in range(3)]
        for rival in rivals:
            rival.start(run.id)
        told = {rival.wait() for rival in rivals}
    assert len(server.jobs) == 4
    assert " ".join(server.jobs) in told and told <= {" ".join(server.jobs), "conflict"}
