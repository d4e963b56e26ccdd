"""Running the installed command as a user would: a process of its own, a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READER = str(Path(sys.executable).with_name("reader"))


@dataclass(frozen=True)
class Finished:
    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.split(b"\n") if line]


def new_environ(home: Path, **variables: str) -> dict[str, str]:
    """An environment in which nothing of this machine's configuration is seen."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("READER_", "XDG_", "COV_"))}
    for name in ("CI", "NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        kept.pop(name, None)
    folders = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "STATE", "DATA", "CACHE")}
    return {**kept, "PATH": _path(), "HOME": str(home), **folders, **variables}


def _path() -> str:
    """PATH with the `reader` under test and no other one."""
    own = Path(READER).parent
    rest = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder, "reader").exists()]
    return os.pathsep.join([str(own), *rest])


def start(*argv: str, environ: dict[str, str], **popen: Any) -> subprocess.Popen[bytes]:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
    return subprocess.Popen([READER, *argv], env=environ, **streams)


def reader(*argv: str, environ: dict[str, str], stdin: bytes | None = None, timeout: float = 90) -> Finished:
    process = start(*argv, environ=environ, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL)
    try:
        out, err = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"reader {argv} did not end; stderr: {err.decode()!r}") from None
    assert b"Traceback" not in err, err.decode()
    return Finished(process.returncode, out, err.decode())


def engine_state(environ: dict[str, str]) -> Path:
    return Path(environ["XDG_DATA_HOME"]) / "reader" / "engine" / "engine.json"


def kill_engine(environ: dict[str, str]) -> None:
    """kill -9 of the background engine, if there is one."""
    try:
        os.kill(json.loads(engine_state(environ).read_bytes())["pid"], signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass
