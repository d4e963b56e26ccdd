"""The real engine as a process of its own, for tests: start it, kill it, start it again.

with Engine.start(tmp_path / "engine") as engine:
    engine.post("/v1/read", {"urls": [...]})
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

STARTED_WITHIN = 30.0  # seconds; the machine may be busy with other tests


def run_engine(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """An engine that ends by itself."""
    command = [sys.executable, "-m", "reader_cli.engine", *arguments]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False)


class Engine:
    """`url` and `key` are those of the running process; `client` sends the key and fails on nothing by itself."""

    def __init__(self, data_dir: Path, *arguments: str, environ: dict[str, str] | None, prelude: str) -> None:
        self.data_dir = data_dir
        self._prelude = prelude
        self._arguments = arguments
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("READER_")}
        self._environ |= environ or {}
        self._launch()

    @classmethod
    def start(cls, data_dir: Path, *arguments: str, environ: dict[str, str] | None = None, prelude: str = "") -> Engine:
        """Returns when the engine listens. `arguments` are further ones of `python -m reader_cli.engine`; `prelude` is
        Python that its process runs first, to shorten a constant that nobody can wait for."""
        return cls(data_dir, *arguments, environ=environ, prelude=prelude)

    @property
    def url(self) -> str:
        return str(self.state["url"])

    @property
    def key(self) -> str:
        return str(self.state["key"])

    @property
    def pid(self) -> int:
        return self._process.pid

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.client.post(path, json=body, **more)

    def submit(self, body: dict[str, Any], **more: Any) -> str:
        """Starts a batch or crawl and returns its id."""
        answer = self.post("/v1/read", body, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])

    def job(self, job_id: str, **query: int) -> dict[str, Any]:
        answer = self.get(f"/v1/jobs/{job_id}", params=query)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def wait(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """The job once it is terminal, told by its stream."""
        deadline = time.monotonic() + seconds
        while (job := self.job(job_id, limit=1))["status"] in ("queued", "processing"):
            assert time.monotonic() < deadline, job
            for name, _, _ in self.events(job_id, timeout=max(1.0, deadline - time.monotonic())):
                if name == "done":
                    break
        return job

    def events(self, job_id: str | None, last: str | None = None, timeout: float = 40) -> Any:
        """(event, data, id) of a job's stream, or of the workspace's; ends with the stream."""
        path = f"/v1/jobs/{job_id}/stream" if job_id else "/v1/events"
        headers = {} if last is None else {"last-event-id": last}
        with self.client.stream("GET", path, headers=headers, timeout=timeout) as answer:
            assert answer.status_code == 200, answer.read()
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line and not line.startswith(":"):
                    fields[name] = value
                elif not line and "data" in fields:
                    yield fields["event"], json.loads(fields["data"]), fields["id"]
                    fields = {}

    def results(self, job_id: str) -> list[dict[str, Any]]:
        """All entries, page by page."""
        pages: list[dict[str, Any]] = []
        while True:
            answer = self.get(f"/v1/jobs/{job_id}", params={"skip": len(pages), "limit": 100}).json()
            pages += answer["data"]["results"]
            if not answer["pagination"]["hasMore"]:
                return pages

    def kill9(self) -> None:
        self._process.kill()
        self._process.wait()
        self.client.close()

    def restart(self) -> None:
        """After kill9 or stop: the same folder, and the same port where it is free."""
        self._launch()

    def stop(self, seconds: float = 10) -> int:
        """SIGTERM, as a service manager would; returns the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(seconds)
        self.client.close()
        return code

    def wait_for_end(self, seconds: float) -> int:
        """Until it ends by itself; returns the exit code."""
        return self._process.wait(seconds)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill9()
            raise

    def _launch(self) -> None:
        code = f"import sys; {self._prelude}\nfrom reader_cli.engine.__main__ import main; sys.exit(main())"
        start = ["-c", code] if self._prelude else ["-m", "reader_cli.engine"]
        command = [sys.executable, *start, "--data-dir", str(self.data_dir), *self._arguments]
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with (self.data_dir.parent / f"{self.data_dir.name}.stderr").open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environ, stdin=subprocess.DEVNULL, stderr=log)
        self.state = self._await_state()
        headers = {"x-api-key": self.key}
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def _await_state(self) -> dict[str, Any]:
        deadline = time.monotonic() + STARTED_WITHIN
        while time.monotonic() < deadline:
            code = self._process.poll()
            assert code is None, f"the engine ended with {code}: {self.stderr}"
            try:
                state: dict[str, Any] = json.loads((self.data_dir / "engine.json").read_bytes())
            except FileNotFoundError:
                state = {}
            if state.get("pid") == self._process.pid:
                return state
            time.sleep(0.01)
        self._process.kill()
        raise AssertionError(f"the engine did not start: {self.stderr}")

    @property
    def stderr(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.stderr").read_text(errors="replace")
