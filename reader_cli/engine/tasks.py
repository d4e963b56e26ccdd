"""What passes between the engine and its extraction workers. Light: the engine's process loads no parser."""

from __future__ import annotations

import struct

import msgspec


class Task(msgspec.Struct):
    """`kind` is "html", "xhtml" or "text"; `charset` is the HTTP header's; `url` is where the body came from.

    `main` asks for the main content only; `include` and `exclude` are CSS selectors.
    """

    body: bytes
    kind: str
    charset: str | None
    url: str
    formats: tuple[str, ...] = ("markdown",)
    main: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Extracted(msgspec.Struct):
    """`markdown` and `html` are None unless asked for; `canonical` and `links` are absolute http(s) URLs.

    `hollow`: there is next to nothing in it, because its scripts put the content there.
    """

    markdown: str | None = None
    html: str | None = None
    title: str | None = None
    description: str | None = None
    language: str | None = None
    canonical: str | None = None
    links: list[str] = []
    hollow: bool = False


class Answer(msgspec.Struct):
    """Without a `result`, `code` and `message` are a PageFault's."""

    result: Extracted | None = None
    code: str = ""
    message: str = ""


TASK_HEAD = struct.Struct(">dI")  # seconds that the task may take, bytes that follow
ANSWER_HEAD = struct.Struct(">I")  # bytes that follow
