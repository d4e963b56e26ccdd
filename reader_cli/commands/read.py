from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from reader_cli import options
from reader_cli.body import PageFlags, build_page_options
from reader_cli.errors import ApiError, UsageError
from reader_cli.inputs.urls import clean_url
from reader_cli.models import FORMATS, Format
from reader_cli.output.document import build_document
from reader_cli.output.files import open_output, refuse_existing
from reader_cli.output.text import harmless
from reader_cli.session import Session, open_env, open_session


def read(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="The page to read.")],
    *,
    output: options.Output = None,
    force: options.Force = False,
    flags: PageFlags,
    json: options.Json = False,
    api_url: options.ApiUrl = None,
    profile: options.Profile = None,
    quiet: options.Quiet = False,
) -> int:
    """Several formats, and what was extracted, come with --json: the page object as the server sent it. A screenshot
    is a PNG, for a file or a pipe. In text, control characters are left out.
    """
    env = open_env(ctx, quiet=quiet, json=json)
    body = {"url": _clean(url), **build_page_options(flags)}
    terminal = output is None and env.stdout_tty
    chosen = None if json else _choose_format(flags, terminal)
    if output is not None:
        refuse_existing(output, force=force)
    with open_session(env, api_url, profile) as session:
        line = _scrape(session, body)
    data = line + b"\n" if chosen is None else _build(line, chosen, terminal)
    with open_output(env, output, force=force) as out:
        out.write(data)
    return 0


def _clean(url: str) -> str:
    try:
        return clean_url(url)[0]
    except ValueError as error:
        raise UsageError(f"{url!a} {error}") from None


def _scrape(session: Session, body: dict[str, Any]) -> bytes:
    try:
        return session.client.scrape(body)
    except ApiError as error:
        if body["url"] not in error.message:
            error.message = f"{harmless(body['url'])}: {error.message}"
        raise


def _choose_format(flags: PageFlags, terminal: bool) -> Format:
    """The one format that is written. Raises UsageError for what only --json can show."""
    if len(flags.formats or ()) > 1 or flags.extract_schema or flags.extract_prompt:
        raise UsageError("several formats, and what is extracted, need --json", hint="reader read URL --json")
    chosen = flags.formats[0] if flags.formats else FORMATS[0]
    if chosen == "screenshot" and terminal:
        raise UsageError(
            "a screenshot is no text for a terminal", hint="reader read URL --format screenshot -o FILE.png"
        )
    return cast(Format, chosen)


def _build(line: bytes, chosen: Format, terminal: bool) -> bytes:
    from reader_cli.client.wire import decode

    return build_document(decode(line), chosen, terminal=terminal)
