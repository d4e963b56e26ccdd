"""The import rules that keep the four seams (contributing guide)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "reader_cli"
FORBIDDEN = {
    "client": {"typer", "rich", "reader_cli.engine", "reader_cli.commands", "reader_cli.output.progress"},
    "engine": {"typer", "rich", "httpx", "reader_cli.client", "reader_cli.commands", "reader_cli.output"},
    "top": {"typer", "httpx", "reader_cli.engine", "reader_cli.commands"},
    "output": {"httpx", "reader_cli.client", "reader_cli.engine", "reader_cli.commands"},
}


def imports(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_part_imports_nothing_that_it_must_not_know(part: str) -> None:
    files = list((PACKAGE / part).rglob("*.py"))
    assert files
    for file in files:
        for name in imports(file):
            broken = [rule for rule in FORBIDDEN[part] if name == rule or name.startswith(rule + ".")]
            assert not broken, f"{file.name} imports {name}"


def tab(words: str) -> dict[str, str]:
    return {"_READER_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}


@pytest.mark.parametrize(
    ("argv", "environ", "absent"),
    [
        (["--help"], {}, ["httpx", "rich", "sqlite3", "msgspec"]),
        (["submit", "--help"], {}, ["httpx", "rich"]),
        (["config"], {}, ["httpx", "rich"]),
        ([], tab("reader "), ["httpx", "rich", "sqlite3", "msgspec", "tomllib", "reader_cli.options"]),
        ([], tab("reader submit --"), ["httpx", "rich", "sqlite3", "msgspec", "tomllib", "reader_cli.history"]),
        ([], tab("reader results "), ["httpx", "rich", "msgspec", "tomllib", "reader_cli.following"]),
    ],
)
def test_quick_commands_load_no_heavy_library(argv: list[str], environ: dict[str, str], absent: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["reader", *{argv!r}]
from reader_cli.__main__ import run
try:
    run()
except SystemExit:
    pass
print([name for name in {absent!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environ}
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_version_is_told_without_typer() -> None:
    code = "import sys; sys.argv = ['reader', '--version']\nfrom reader_cli.__main__ import run\nrun()"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("reader ")
    assert "typer" not in done.stderr and "dataclasses" not in done.stderr
