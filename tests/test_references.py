from __future__ import annotations

from pathlib import Path

import pytest

from reader_cli.errors import NotFoundLocally, UsageError
from reader_cli.history import History, Run
from reader_cli.inputs import Item
from reader_cli.references import check_name, find_run, lasting_words, resolve

SERVER = "https://reader.example"


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Oldest first: job_a1; nightly = job_b1, job_b2; another server's job_c1; nightly = job_b3; one refused."""
    history = History.open(tmp_path / "history.db")
    submit(history, "job_a1")
    submit(history, "job_b1", "job_b2", name="nightly")
    submit(history, "job_c1", server="local", name="nightly")
    submit(history, "job_b3", name="nightly")
    submit(history, None, name="refused")
    return history


def submit(history: History, *job_ids: str | None, server: str = SERVER, name: str | None = None) -> Run:
    """A run whose parts became these jobs; None: planned only."""
    parts = [[Item("https://a.example/", None, "-", 1)] for _ in job_ids]
    run = history.new_run(server, name, {}, parts, now=0)
    for part, job_id in zip(run.parts, job_ids, strict=True):
        if job_id:
            history.mark_sent(part, 0)
            history.mark_accepted(part, {"id": job_id})
    return history.get_run(run.id)


@pytest.mark.parametrize(
    ("ref", "ids"),
    [
        ("job_a1", ["job_a1"]),
        ("@last", ["job_b3"]),
        ("@-1", ["job_b3"]),
        ("@-2", ["job_b1", "job_b2"]),
        ("@-3", ["job_a1"]),
        ("nightly", ["job_b3"]),
        ("job_of_somebody_else", ["job_of_somebody_else"]),
        ("job_c1", ["job_c1"]),  # unknown on this server: as it stands
    ],
)
def test_what_names_a_job_for_every_command(history: History, ref: str, ids: list[str]) -> None:
    assert resolve(ref, history, SERVER, reading=False) == ids
    assert resolve(ref, history, SERVER, reading=True) == ids


@pytest.mark.parametrize(
    ("ref", "words"),
    [("@last", ["job_b3"]), ("nightly", ["nightly"]), ("job_a", ["job_a1"]), ("job_other", ["job_other"])],
)
def test_a_suggested_command_names_the_same_jobs_later(history: History, ref: str, words: list[str]) -> None:
    assert lasting_words(ref, history, SERVER, reading=True) == words


def test_of_several_jobs_a_suggested_command_names_the_run(history: History) -> None:
    [run_id] = lasting_words("@-2", history, SERVER, reading=True)  # its name is another run's by now
    assert resolve(run_id, history, SERVER, reading=False) == ["job_b1", "job_b2"]


def test_a_prefix_names_a_job_for_reading_only(history: History) -> None:
    assert resolve("job_a", history, SERVER, reading=True) == ["job_a1"]
    assert resolve("job_a", history, SERVER, reading=False) == ["job_a"]
    with pytest.raises(UsageError, match="job_b3, job_b2, job_b1"):
        resolve("job_b", history, SERVER, reading=True)


def test_a_run_by_its_id(history: History) -> None:
    run = find_run("@-3", history, SERVER)
    assert run.job_ids == ["job_b1", "job_b2"] == resolve(run.id, history, SERVER, reading=False)


@pytest.mark.parametrize(
    "ref", ["", "@", "@first", "@-0", "@1", "@--1", "a b", "../x", "a/b", "x?y", "a\x1b[0m", "%2e"]
)
def test_what_can_be_no_reference(history: History, ref: str) -> None:
    with pytest.raises(UsageError):
        resolve(ref, history, SERVER, reading=True)


def test_submissions_that_have_no_job(history: History) -> None:
    with pytest.raises(NotFoundLocally):
        resolve("@-4", history, SERVER, reading=False)
    with pytest.raises(NotFoundLocally, match="refused has no job") as caught:
        resolve("refused", history, SERVER, reading=False)
    assert "--resume" in caught.value.hint
    run = submit(history, None)
    history.mark_sent(run.parts[0], 0)  # perhaps accepted: an older submission must not be taken for it
    with pytest.raises(NotFoundLocally, match=run.id):
        resolve("@last", history, SERVER, reading=False)


def test_what_is_resumed(history: History) -> None:
    assert find_run("@last", history, SERVER).name == "refused"
    assert find_run("nightly", history, SERVER).job_ids == ["job_b3"]
    assert find_run("job_b2", history, SERVER).job_ids == ["job_b1", "job_b2"]
    assert find_run("@last", history, "local").job_ids == ["job_c1"]
    for ref in ("weekly", "@-9"):
        with pytest.raises(NotFoundLocally):
            find_run(ref, history, SERVER)


def test_names_that_could_be_taken_for_something_else() -> None:
    assert check_name("nightly-2026.11:été") == "nightly-2026.11:été"
    for name in ("", "@last", "-", "a b", "a/b", "job_1", "run_1", "x" * 101, "a\n", "\u202ea"):
        with pytest.raises(UsageError):
            check_name(name)
