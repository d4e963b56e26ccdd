"""What an engine forgets, and what it makes of a folder that an older or a later version left."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from engine_server import Engine, run_engine
from site_server import Site

from reader_cli.models import Status

OFTEN = (
    "from datetime import timedelta; from reader_cli.engine import retention;"
    " retention.PAUSE = 0.1; retention.YOUNG = timedelta(0)"
)


def query(file: Path, sql: str) -> Any:
    with closing(sqlite3.connect(file)) as db:
        (value,) = db.execute(sql).fetchone() or (None,)
        db.commit()
        return value


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_old_jobs_go_with_all_that_was_theirs(data_dir: Path, site: Site) -> None:
    webhook = {"url": site.url + "/hook", "events": ["job.failed"]}
    with Engine.start(data_dir, "--retention", "0.00001", prelude=OFTEN) as engine:
        old = engine.submit({"urls": site.urls(3), "webhook": webhook})
        site.gates["/last"] = threading.Event()
        active = engine.submit({"urls": [site.url + "/4", site.url + "/last"]})
        until(lambda: engine.get(f"/v1/jobs/{old}").status_code == 404)
        site.gates["/last"].set()
        assert engine.wait(active)["completed"] == 2, "an active job is never old"
        assert engine.get("/v1/usage/credits").json()["data"]["used"] == 5, "the month's usage stays"
        until(lambda: query(data_dir / "runs.db", "SELECT count(*) FROM workflow_status") == 0)
    left = [
        query(data_dir / "reader.db", f"SELECT count(*) FROM {table}") for table in ("items", "results", "webhooks")
    ]
    assert left == [2, 2, 0]


def test_the_disk_is_bounded(data_dir: Path, site: Site) -> None:
    """To 2 MB, of which a tenth is the cache's; each job has 0.8."""
    with Engine.start(data_dir, "--max-disk", "0.002", prelude=OFTEN) as engine:
        jobs = []
        for number in range(5):
            paths = [f"/{number}/{page}" for page in range(8)]
            site.bodies |= {path: ("text/plain", f"{path}\n".encode() * 20_000) for path in paths}
            jobs.append(engine.submit({"urls": [site.url + path for path in paths]}))
            engine.wait(jobs[-1])
        until(lambda: [engine.get(f"/v1/jobs/{job}").status_code for job in jobs[:3]] == [404] * 3)
        assert len(engine.results(jobs[-1])) == 8
        until(lambda: query(data_dir / "cache.db", "PRAGMA page_count") * 4096 < 400_000)
        until(lambda: query(data_dir / "reader.db", "PRAGMA page_count") * 4096 < 2_200_000)


def test_folders_of_other_versions(data_dir: Path, site: Site) -> None:
    site.broken.add("/0")
    with Engine.start(data_dir, "--retention", "999999999999") as engine:
        job_id = engine.submit({"urls": site.urls(3)})
        engine.wait(job_id)
        before = engine.results(job_id)
        engine.stop()
        for change in ("ALTER TABLE jobs DROP COLUMN budget", "DROP TRIGGER job_without_webhooks"):
            query(data_dir / "reader.db", change)
        query(data_dir / "reader.db", "DROP TABLE deliveries")
        query(data_dir / "reader.db", "DROP TABLE webhooks")
        query(data_dir / "reader.db", "PRAGMA user_version = 1")
        for name in ("cache.db", "runs.db"):
            (data_dir / name).write_bytes(b"no database" * 1000)
        site.broken.clear()
        engine.restart()
        assert engine.results(job_id) == before
        assert engine.get("/v1/webhooks").json()["data"] == []
        assert engine.post(f"/v1/jobs/{job_id}/retry").status_code == 200
        assert engine.wait(job_id)["status"] == Status.COMPLETED
        engine.stop()
        query(data_dir / "reader.db", "PRAGMA user_version = 99")
        later = run_engine("--data-dir", str(data_dir))
        assert later.returncode == 2 and "Traceback" not in later.stderr
        assert (
            str(data_dir) in later.stderr and "a later version of reader" in later.stderr and "update" in later.stderr
        )
        (data_dir / "reader.db").write_bytes(b"no database" * 1000)
        damaged = run_engine("--data-dir", str(data_dir))
        assert damaged.returncode == 2 and damaged.stderr.count("\n") == 1
        assert str(data_dir) in damaged.stderr and "reader.db is damaged" in damaged.stderr
