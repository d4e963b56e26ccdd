"""The names of the keys in what a terminal sends (ECMA-48, xterm's control sequences)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEY = re.compile(
    rb"\x1b\[(?P<numbers>[0-9;?<]*)(?P<final>[@-~])"  # CSI
    rb"|\x1bO(?P<ss3>[A-Za-z])"
    rb"|\x1b(?P<alt>[^\x1b])"
    rb"|(?P<one>[\x00-\x7f])"
    rb"|[\x80-\xff]+",  # a letter that is no command
    re.DOTALL,
)
_LETTERS = {b"A": "up", b"B": "down", b"C": "right", b"D": "left", b"H": "home", b"F": "end"}
_NUMBERS = {b"1": "home", b"7": "home", b"4": "end", b"8": "end", b"5": "page up", b"6": "page down"}
_SINGLE = {"\r": "enter", "\n": "enter", "\x1b": "escape", "\x7f": "backspace", "\b": "backspace"}
_PASTE = re.compile(rb"\x1b\[200~.*?(?:\x1b\[201~|\Z)", re.DOTALL)


def decode(data: bytes) -> Iterator[str]:
    """`up`, `page down`, `enter`, `escape`, … and printable characters as they are. What is no key of ours is left out,
    and so is what was pasted: a clipboard must not cancel jobs."""
    for match in _KEY.finditer(_PASTE.sub(b"", data)):
        if match["final"]:
            name = _NUMBERS.get(match["numbers"]) if match["final"] == b"~" else _LETTERS.get(match["final"])
        elif match["ss3"]:
            name = _LETTERS.get(match["ss3"])
        elif match["one"]:
            char = match["one"].decode()
            name = _SINGLE.get(char, char if char.isprintable() else None)
        else:
            name = None
        if name:
            yield name
