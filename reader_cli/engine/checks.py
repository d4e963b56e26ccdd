"""Checks of single values in a request. A check takes what JSON gave and returns it typed, or raises `Wrong`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
D = TypeVar("D")
Check = Callable[[Any], T]

HALF = re.compile("[\ud800-\udfff]")  # JSON can spell it, UTF-8 and so the database cannot hold it


class Wrong(ValueError):
    """`issues` are (path, message); the path is relative to the value, and begins with a dot where it is not empty."""

    def __init__(self, *issues: tuple[str, str]) -> None:
        super().__init__(*issues)
        self.issues = issues


class Fields:
    """Takes fields out of one object, and notes what is wrong. A field that is null counts as absent."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self.issues: list[tuple[str, str]] = []

    def has(self, name: str) -> bool:
        return self._body.get(name) is not None

    def take(self, name: str, check: Check[T], default: D) -> T | D:
        if not self.has(name):
            return default
        try:
            return check(self._body[name])
        except Wrong as wrong:
            self.issues += [(name + path, message) for path, message in wrong.issues]
            return default


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong(("", "must be a string that is not empty"))
    if HALF.search(value):
        raise Wrong(("", "holds half a character, a surrogate without the other one"))
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(("", "must be true or false"))
    return value


def whole(least: int, most: int) -> Check[int]:
    def check(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():  # 6.0 is whole in JSON
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Wrong(("", f"must be a whole number from {least} to {most}"))
        return value

    return check


def digits(least: int, most: int) -> Check[int]:
    """A whole number in a query string."""

    def check(value: str) -> int:
        return whole(least, most)(int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None)

    return check


def sized(least: int, most: int) -> Check[str]:
    def check(value: Any) -> str:
        if not least <= len(text(value)) <= most:
            raise Wrong(("", f"must be {least} to {most} characters long"))
        return str(value)

    return check


def one_of(allowed: Iterable[str]) -> Check[str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Wrong(("", "must be one of " + ", ".join(allowed)))
        return value

    return check


def each(check: Check[T], least: int = 0, most: int | None = None) -> Check[tuple[T, ...]]:
    """A list of `least` to `most` entries. All bad entries are told of, by their index."""

    def check_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Wrong(("", "must be a list"))
        if len(value) < least or (most is not None and len(value) > most):
            raise Wrong(("", f"holds {len(value)} entries, allowed are {least} to {most or 'any number'}"))
        checked, issues = [], []
        for index, entry in enumerate(value):
            try:
                checked.append(check(entry))
            except Wrong as wrong:
                issues += [(f".{index}{path}", message) for path, message in wrong.issues]
        if issues:
            raise Wrong(*issues)
        return tuple(checked)

    return check_all
