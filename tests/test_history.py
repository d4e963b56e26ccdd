from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reader_cli.errors import UsageError
from reader_cli.events import Done
from reader_cli.history import History, Run
from reader_cli.inputs import Item

SERVER = "https://reader.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "reader" / "history.db"


def items(*urls: str, record: Any = None) -> list[Item]:
    return [Item(url, record, "args", number) for number, url in enumerate(urls, 1)]


def submitted(history: History, job_id: str, *, server: str = SERVER, name: str | None = None, now: float = 0) -> Run:
    run = history.new_run(server, name, {}, [items(f"https://a.example/{job_id}")], now=now)
    history.mark_sent(run.parts[0], now)
    history.mark_accepted(run.parts[0], {"id": job_id, "status": "queued", "total": 1})
    return history.get_run(run.id)


def test_what_is_written_is_there_for_the_next_command_and_for_its_owner_alone(path: Path) -> None:
    run = submitted(History.open(path), "job_1", name="nightly", now=5)
    again = History.open(path)
    assert again.warning is None and again.lasting
    assert again.get_run(run.id) == run and run.job_ids == ["job_1"] and run.missing == []
    with again.claim(run.id):
        pass
    files = [path.parent, *path.parent.iterdir()]
    assert len(files) > 2 and all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in files)


def test_jobs_newest_first_and_filtered(path: Path) -> None:
    history = History.open(path)
    for number in range(1, 4):
        submitted(history, f"job_{number}", name="nightly" if number != 2 else None, now=number)
    submitted(history, "job_1", server="local", now=9)
    history.new_run(SERVER, "planned", {}, [items("https://a.example/")], now=10)
    history.update_state(SERVER, {"id": "job_3", "status": "completed", "completed": 1, "creditsUsed": 1})
    history.update_states(SERVER, [Done("job_1", "failed", 1, 1, 1, 0)])

    def ids(*args: Any, **filters: Any) -> list[str | None]:
        return [part.job_id for part in history.jobs(*args, **filters)]

    assert ids() == ["job_1", "job_3", "job_2", "job_1"]
    assert ids(SERVER) == ["job_3", "job_2", "job_1"]
    assert ids(SERVER, limit=1) == ["job_3"]
    assert ids(SERVER, statuses=["completed", "failed"]) == ["job_3", "job_1"]
    assert ids(SERVER, name="nightly", since=2) == ["job_3"]
    assert [(part.failed, part.status) for part in history.jobs(name="nightly")] == [(None, "completed"), (1, "failed")]
    assert history.jobs("local")[0].status == "queued"  # the other server's job of the same id


records = st.none() | st.dictionaries(st.text(), st.none() | st.integers() | st.text(st.characters()), max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), records), min_size=1, max_size=5))  # no surrogates in URLs: see inputs
def test_records_come_back_as_they_were_given(pairs: list[tuple[str, dict[str, Any] | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History.open(Path(folder) / "h.db")
        part = [Item(url, record, "-", number) for number, (url, record) in enumerate(pairs)]
        run = history.new_run(SERVER, None, {}, [part[:1], part], now=0)
        history.mark_accepted(run.parts[1], {"id": "job_1"})
        assert list(history.input_records(SERVER, "job_1")) == pairs
        assert list(history.input_records("local", "job_1")) == []
        history.close()


def test_a_webhook_secret_is_never_written(path: Path) -> None:
    history = History.open(path)
    body = {"webhook": {"url": "https://w.example", "secret": "correct-horse-battery"}, "cache": False}
    run = history.new_run(SERVER, None, body, [items("https://a.example/")], now=0)
    assert run.had_secret and run.body == {"webhook": {"url": "https://w.example"}, "cache": False}
    assert not any(b"correct-horse" in file.read_bytes() for file in path.parent.iterdir())


def test_what_is_forgotten_is_gone_from_the_disk(path: Path) -> None:
    history = History.open(path)
    submitted(history, "job_kept")
    submitted(history, "job_secret")
    planned = history.new_run(SERVER, None, {}, [items("https://a.example/planned")], now=0)
    assert history.forget(SERVER, ["job_secret", "job_unknown"]) == 1
    history.forget_run(planned.id)
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"job_kept" in left and b"job_secret" not in left and b"planned" not in left.replace(b"'planned'", b"")
    assert history.run_ids(SERVER) == [history.jobs()[0].run_id]


# Broken histories


def corrupt(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says" * 100)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def from_the_future(path: Path) -> None:
    import sqlite3

    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [corrupt, truncate, from_the_future, folder_instead])
def test_a_broken_history_is_empty_says_so_and_is_left_as_it_is(path: Path, harm: Any) -> None:
    before = History.open(path)
    for number in range(50):
        submitted(before, f"job_{number}")
    before.close()
    harm(path)
    content = path.read_bytes() if path.is_file() else None
    history = History.open(path)
    # what only a read finds broken is told by then
    assert (history.jobs(SERVER) == [] or harm is truncate) and history.find_job(SERVER, "job_x") is None
    assert history.warning and str(path) in history.warning
    history.update_state(SERVER, {"id": "job_1", "status": "completed"})
    assert content is None or path.read_bytes() == content
    if not history.lasting:
        assert submitted(history, "job_new").job_ids == ["job_new"]  # for this process


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History.open(tmp_path / "file" / "history.db")
    assert history.warning and not history.lasting and history.jobs() == []


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that is reachable, for a user who may not write everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        user = os.geteuid()
        yield Path(folder)
        os.seteuid(user)


def test_a_read_only_history_is_still_read(as_nobody: Path) -> None:
    path = as_nobody / "history.db"
    history = History.open(path)
    submitted(history, "job_1")
    history.close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    history = History.open(path)
    assert history.warning and not history.lasting
    assert [part.job_id for part in history.jobs(SERVER)] == ["job_1"]
    assert list(history.input_records(SERVER, "job_1")) == [("https://a.example/job_1", None)]


def test_a_full_disk_is_told_and_leaves_nothing_half_written(path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from reader_cli.errors import UsageError
from reader_cli.history import History
from reader_cli.inputs import Item
history = History.open(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
part = [Item(f"https://a.example/{number * 7919}", {"n": number ** 9}, "-", 1) for number in range(1000)]
try:
    while True:
        history.new_run("local", None, {}, [part, part], now=0)
except UsageError as error:
    print(error.message)
"""
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert "cannot be written" in told
    history = History.open(path)
    assert history.warning is None and all(len(history.get_run(run).parts) == 2 for run in history.run_ids("local"))
    submitted(history, "job_1")


# Many processes

WRITER = """
import sys
from pathlib import Path
from reader_cli.history import History
from reader_cli.inputs import Item
who = sys.argv[2]
sys.stdin.readline()
for number in range(25):
    history = History.open(Path(sys.argv[1]))
    assert history.warning is None, history.warning
    run = history.new_run("local", None, {}, [[Item("https://a.example/", None, "-", 1)]], now=0)
    with history.claim(run.id):
        history.mark_sent(run.parts[0], 0)
        history.mark_accepted(run.parts[0], {"id": f"job_{who}_{number}"})
    history.update_state("local", {"id": f"job_{who}_{number}", "status": "completed"})
    assert history.jobs("local", limit=3)
    history.close()
"""


def test_many_processes_write_at_once_from_the_first_moment_on(path: Path) -> None:
    argv = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*argv, str(who)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for who in range(6)
    ]
    for writer in writers:  # all of them find no file
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, told = writer.communicate(timeout=100)
        assert writer.returncode == 0, told
    jobs = History.open(path).jobs("local", statuses=["completed"])
    assert len({part.job_id for part in jobs}) == len(jobs) == 150


def test_a_run_is_claimed_by_one_process_at_a_time(path: Path) -> None:
    run, other = (submitted(History.open(path), f"job_{number}") for number in range(2))
    code = """
import sys
from pathlib import Path
from reader_cli.history import History
with History.open(Path(sys.argv[1])).claim(sys.argv[2]):
    print("mine", flush=True)
    sys.stdin.read()
"""
    argv = [sys.executable, "-c", code, str(path), run.id]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"mine\n"
    history = History.open(path)
    with pytest.raises(Exception, match="another process"), history.claim(run.id):
        pass
    with history.claim(other.id):
        pass
    holder.kill()
    holder.communicate()
    with history.claim(run.id):
        pass


def test_a_history_that_stays_locked_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reader_cli.history.file._BUSY_SECONDS", 0.05)
    import sqlite3

    history = History.open(path)
    run = submitted(history, "job_1")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(UsageError, match="locked"):
        history.mark_sent(run.parts[0], 0)
    assert history.find_job(SERVER, "job_1")
    holder.close()


def test_a_number_that_cannot_be_kept_is_not_kept(path: Path) -> None:
    history = History.open(path)
    submitted(history, "job_1")
    history.update_state(SERVER, {"id": "job_1", "status": "completed", "total": 10**30})
    assert history.jobs()[0].total == 1


def test_a_tab_in_the_shell_loads_no_http() -> None:
    code = "import sys, reader_cli.history; print({'httpx', 'ssl', 'msgspec', 'asyncio', 'typer'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
