"""Parts of a page by their paths, `metadata.title` (cli: --fields). Values stay as the server wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from reader_cli.errors import UsageError
from reader_cli.output.jsonl import read_members

_Tree = dict[str, "_Tree | None"]  # None: all of it
_NULL = b"null"


class Fields:
    """`paths`, each a key, the key in its value, …, in the order in which they were asked for."""

    def __init__(self, paths: Iterable[Sequence[str]]) -> None:
        self._paths = list(dict.fromkeys(map(tuple, paths)))
        self._tree: _Tree = {}
        for path in self._paths:
            _grow(self._tree, path)

    @classmethod
    def parse(cls, text: str) -> Fields:
        """From `url,metadata.title`. Raises UsageError."""
        paths = [path.strip().split(".") for path in text.split(",")]
        if not all(map(all, paths)):
            raise UsageError(f"--fields {text!a} has an empty name in it", hint="Use --fields url,metadata.title")
        return cls(paths)

    @property
    def names(self) -> list[str]:
        """The paths as they were written: `metadata.title`."""
        return list(map(".".join, self._paths))

    def project(self, line: bytes) -> bytes:
        """The page with these fields alone, in the page's own shape; null where it has no such field, so that every
        line has the same keys."""
        return _project(line, self._tree)

    def values(self, line: bytes) -> list[bytes]:
        """The JSON of each field, `null` where there is none."""
        return [_find(line, path) for path in self._paths]


def _grow(tree: _Tree, path: Sequence[str]) -> None:
    first, rest = path[0], path[1:]
    if not rest:
        tree[first] = None
    elif (branch := tree.setdefault(first, {})) is not None:
        _grow(branch, rest)


def _project(raw: bytes, tree: _Tree) -> bytes:
    members = read_members(raw)
    parts = []
    for key, branch in tree.items():
        value = members.get(key, _NULL)
        parts.append(json.dumps(key).encode() + b":" + (value if branch is None else _project(value, branch)))
    return b"{" + b",".join(parts) + b"}"


def _find(raw: bytes, path: Sequence[str]) -> bytes:
    for key in path:
        raw = read_members(raw).get(key, _NULL)
    return raw
