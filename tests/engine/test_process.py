"""The engine as a process: its folder, its lock, its log, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from pathlib import Path

import httpx
import pytest
from engine_server import Engine, run_engine
from site_server import Site


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(pid: int) -> bool:
    """Gone, or a zombie that nobody in a container collects."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_state_file_tells_where_it_is_while_it_is_there(data_dir: Path) -> None:
    with Engine.start(data_dir) as engine:
        file = data_dir / "engine.json"
        state = json.loads(file.read_bytes())
        assert set(state) == {"pid", "url", "key", "version", "startedAt", "dataDir"}
        assert state["pid"] == engine.pid and state["dataDir"] == str(data_dir)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(entry.stat().st_mode) == 0o600 for entry in data_dir.iterdir())
        assert state["key"].startswith("rdr_local_")
        assert engine.stderr.count(state["key"]) == 1 and engine.stderr.count("\n") == 1
        assert engine.stop() == 0
        assert not file.exists()
        engine.restart()
        assert (engine.url, engine.key) == (state["url"], state["key"])


def test_a_taken_port_is_not_waited_for(data_dir: Path) -> None:
    with Engine.start(data_dir) as engine:
        taken = engine.url
        engine.kill9()
        port = int(taken.rpartition(":")[2])
        with Engine.start(data_dir.with_name("other"), "--port", str(port)):
            engine.restart()
            assert engine.url != taken
            busy = run_engine("--data-dir", str(data_dir.with_name("third")), "--port", str(port))
    assert busy.returncode == 1 and str(port) in busy.stderr and "Traceback" not in busy.stderr


def test_a_folder_has_one_engine(data_dir: Path) -> None:
    with Engine.start(data_dir) as engine:
        second = run_engine("--data-dir", str(data_dir))
        assert second.returncode == 8 and str(data_dir) in second.stderr and second.stderr.count("\n") == 1
        assert engine.get("/v1/queue/status").status_code == 200
        assert json.loads((data_dir / "engine.json").read_bytes())["pid"] == engine.pid


def test_folders_with_difficult_names(tmp_path: Path, site: Site) -> None:
    with Engine.start(tmp_path / "a b#c?d%20é" / "x") as engine:
        assert engine.wait(engine.submit({"urls": site.urls(1)}))["completed"] == 1
    assert not [entry for entry in tmp_path.rglob("*") if "b#c?d%20é" not in str(entry)]
    (tmp_path / "file").touch()
    refused = run_engine("--data-dir", str(tmp_path / "file"))
    assert refused.returncode == 2 and str(tmp_path / "file") in refused.stderr and "Traceback" not in refused.stderr


def test_an_engine_that_is_going_is_waited_for(data_dir: Path, site: Site) -> None:
    site.slow["/0"] = 30.0
    with Engine.start(data_dir) as going:
        job_id = going.submit({"urls": site.urls(2)})
        os.kill(going.pid, signal.SIGTERM)
        while (data_dir / "engine.json").exists():
            time.sleep(0.001)
        site.slow.clear()
        with Engine.start(data_dir) as coming:
            assert coming.wait(job_id)["completed"] == 2


def test_the_environments_key(data_dir: Path) -> None:
    with Engine.start(data_dir, environ={"READER_API_KEY": "rdr_mine"}) as engine:
        assert engine.key == "rdr_mine" and "rdr_mine" not in engine.stderr
        assert engine.get("/v1/queue/status").status_code == 200
    empty = run_engine("--data-dir", str(data_dir), READER_API_KEY="")
    assert empty.returncode == 6 and empty.stderr.count("\n") == 1


def test_a_termination_waits_neither_for_pages_nor_for_streams(data_dir: Path, site: Site) -> None:
    site.slow["/1"] = 30.0
    with Engine.start(data_dir) as engine:
        job_id = engine.submit({"urls": site.urls(3)})
        streaming = threading.Event()
        cut: list[str] = []

        def read(job: str | None) -> None:
            for name, _, _ in engine.events(job):
                cut.append(name)
                streaming.set()

        readers = [threading.Thread(target=read, args=(job,)) for job in (job_id, None)]
        for reader in readers:
            reader.start()
        streaming.wait()
        workers = children(engine.pid)
        began = time.monotonic()
        assert engine.stop() == 0
        assert time.monotonic() - began < 5
        for reader in readers:
            reader.join()
        assert "done" not in cut
        assert workers and all(map(ended, workers))
        site.slow.clear()
        engine.restart()
        assert engine.wait(job_id)["completed"] == 3
        assert sorted(page["url"] for page in engine.results(job_id)) == sorted(site.urls(3))


def test_workers_end_with_a_killed_engine(data_dir: Path) -> None:
    with Engine.start(data_dir) as engine:
        workers = children(engine.pid)
        engine.kill9()
        deadline = time.monotonic() + 10
        while not all(map(ended, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        engine.restart()


def test_a_background_engine_stops_when_nobody_needs_it(data_dir: Path, site: Site) -> None:
    site.slow["/0"] = 2.5
    with Engine.start(data_dir, "--background", "--idle-timeout", "1") as engine:
        job_id = engine.submit({"urls": site.urls(1)})
        for name, _, _ in engine.events(job_id):
            if name == "progress":
                break
        engine.client.close()
        began = time.monotonic()
        assert engine.wait_for_end(15) == 0
        assert time.monotonic() - began > 2.5, "it has worked until the page was there"
        assert engine.stderr == ""
        assert engine.url in (data_dir / "engine.log").read_text()
        engine.restart()
        assert engine.job(job_id)["completed"] == 1


@pytest.mark.parametrize(("arguments", "status"), [([], 403), (["--allow-private"], 200)])
def test_an_engine_for_others_keeps_away_from_private_addresses(
    data_dir: Path, site: Site, arguments: list[str], status: int
) -> None:
    with Engine.start(data_dir, "--host", "0.0.0.0", *arguments) as engine:
        answer = httpx.post(
            f"http://127.0.0.1:{engine.url.rpartition(':')[2]}/v1/read",
            json={"url": site.url + "/x"},
            headers={"x-api-key": engine.key},
            trust_env=False,
        )
        assert answer.status_code == status
