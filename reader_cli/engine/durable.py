"""Jobs that outlive the process: the only place that knows DBOS.

DBOS keeps one promise for us: a run that was started is worked on until it ends, across any number of crashes.
What is done already is in our own database, so a workflow has no steps, and running it again is harmless.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from reader_cli.engine.database import is_damage, remove

logger = logging.getLogger(__name__)

OVER = ["SUCCESS", "ERROR", "CANCELLED"]
FORGOTTEN = 100  # runs at a time
Run = Callable[[str, int], Awaitable[None]]


class Durable:
    """Launch and use it on one event loop; its workflows run there."""

    def __init__(self, file: Path, run: Run) -> None:
        _mend(file)
        DBOS(config=_config(file))

        # A run that never recovers would stay active for ever, so there is no last attempt.
        @DBOS.workflow(name="run", max_recovery_attempts=None)
        async def workflow(job_id: str, number: int) -> None:
            await run(job_id, number)

        self._workflow = workflow

    def launch(self) -> None:
        """Takes up what a crash left behind. Blocks for 0.1 s; must be called on the event loop's own thread, because
        that is how DBOS learns which loop its recovered workflows belong to."""
        DBOS.launch()

    async def start(self, job_id: str, number: int) -> None:
        """Starts run `number` of a job. Harmless when it was started before, in this life or an earlier one."""
        with SetWorkflowID(f"{job_id}:{number}"):
            await DBOS.start_workflow_async(self._workflow, job_id, number)

    async def forget(self) -> None:
        """Deletes the runs that are over: what became of them is in our own database."""
        while over := await DBOS.list_workflows_async(
            status=OVER, limit=FORGOTTEN, load_input=False, load_output=False
        ):
            await DBOS.delete_workflows_async([run.workflow_id for run in over])

    def close(self) -> None:
        DBOS.destroy()


def _config(file: Path) -> DBOSConfig:
    return {
        "name": "reader",
        # Says what kind of database it is. Where it is does not go in there: a path may hold ?, # and %.
        "system_database_url": "sqlite:///runs.db",
        "db_engine_kwargs": {"creator": partial(_connect, file)},
        # DBOS leaves the runs of other versions and executors alone, and so would never finish them.
        "application_version": "1",
        "executor_id": "engine",
        # The default is pickle.
        "serializer": DBOSPortableJSONSerializer(),
        "max_executor_threads": 32,
        "log_level": "ERROR",
        "enable_otlp": False,
    }


def _mend(file: Path) -> None:
    """A damaged file begins anew. No run is lost with it: at its start the engine begins all jobs that are active."""
    try:
        with closing(_connect(file)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        logger.warning("the list of runs cannot be read (%s); it begins anew", error)
        remove(file)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
