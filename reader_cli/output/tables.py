"""Rows for people, and for spreadsheets. On a terminal a line is cut, in a pipe it never is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence

from reader_cli.env import Env
from reader_cli.output.spreadsheet import build_cell, build_row
from reader_cli.output.text import harmless

LONGEST_CELL = 10_000  # characters of a cell of CSV


def write_table(env: Env, titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Writes `rows` to stdout under `titles`; nothing at all without rows."""
    if not rows:
        return
    cells = [list(titles), *([harmless(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        _write_row(env, row, widths)


class Columns:
    """A table that is written while its rows come: the last column takes what the others leave."""

    def __init__(self, env: Env, titles: Sequence[str], widths: Sequence[int]) -> None:
        """`widths` are those of all columns but the last."""
        self._env = env
        self._widths = (*widths, 0)
        self.write(titles)

    def write(self, row: Sequence[object]) -> None:
        _write_row(self._env, [harmless(cell) for cell in row], self._widths)
        self._env.stdout.flush()


def build_csv_line(cells: Iterable[object]) -> bytes:
    """One line of CSV; None is empty, booleans are as in JSON, and text is on one line as in a table."""
    return build_row(map(_csv_cell, cells))


def _csv_cell(cell: object) -> str:
    if isinstance(cell, str):
        return build_cell(harmless(cell, LONGEST_CELL), terminal=True)
    return "" if cell is None else json.dumps(cell)


def _write_row(env: Env, cells: Sequence[str], widths: Sequence[int]) -> None:
    line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    env.stdout.write((_cut(env, line) + "\n").encode())


def _cut(env: Env, line: str) -> str:
    if not env.stdout_tty:
        return line
    columns = shutil.get_terminal_size().columns
    return line if len(line) <= columns else line[: columns - 1] + "…"
