"""Rows for people: columns as wide as they need to be. On a terminal a line is cut, in a pipe it never is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from reader_cli.env import Env
from reader_cli.output.text import harmless


def write_table(env: Env, titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Writes `rows` to stdout under `titles`; nothing at all without rows."""
    if not rows:
        return
    cells = [list(titles), *([harmless(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        env.stdout.write((_cut(env, line) + "\n").encode())


def _cut(env: Env, line: str) -> str:
    if not env.stdout_tty:
        return line
    columns = shutil.get_terminal_size().columns
    return line if len(line) <= columns else line[: columns - 1] + "…"
