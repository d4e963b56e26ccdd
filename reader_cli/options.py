"""Every option that two commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reader_cli.completing import complete_job
from reader_cli.durations import Since as SinceValue
from reader_cli.durations import parse_duration, parse_since

Jobs = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB...",
        help="Job id, @last, @-2, a run's name, or the start of an id.",
        autocompletion=complete_job,
    ),
]
Job = Annotated[
    str,
    typer.Argument(metavar="JOB", help="Job id, @last, @-2 or a run's name.", autocompletion=complete_job),
]

ApiUrl = Annotated[str | None, typer.Option("--api-url", metavar="URL", help="The server to talk to.")]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="A profile of the config file.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, one object a line; errors as JSON on stderr.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No talk on stderr, only errors.")]

Wait = Annotated[bool, typer.Option("--wait", help="Follow to the end, as `reader watch` does.")]
Since = Annotated[
    SinceValue | None,
    typer.Option(parser=parse_since, metavar="DURATION|DATE", help="Only from then on; 2h, 7d, 2026-04-30."),
]

# How pages are read (contract: POST /v1/read); `body.PageFlags` takes them.
Formats = Annotated[
    list[str] | None, typer.Option("--format", metavar="markdown|html|screenshot", help="What to return; repeatable.")
]
NoMainContent = Annotated[bool, typer.Option("--no-main-content", help="Keep navigation, header and footer.")]
IncludeTag = Annotated[list[str] | None, typer.Option(metavar="CSS", help="Keep only these; repeatable.")]
ExcludeTag = Annotated[list[str] | None, typer.Option(metavar="CSS", help="Take these out; repeatable.")]
WaitFor = Annotated[str | None, typer.Option(metavar="CSS", help="Wait until the page shows this.")]
PageTimeout = Annotated[
    float | None,
    typer.Option(parser=parse_duration, metavar="DURATION", help="Per page, 1s to 2m [default: 30s]."),
]
ProxyMode = Annotated[str | None, typer.Option(metavar="standard|premium", help="Premium costs more.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Read afresh, not from the server's cache.")]
ExtractSchema = Annotated[Path | None, typer.Option(metavar="FILE", help="JSON Schema of what to extract.")]
ExtractPrompt = Annotated[str | None, typer.Option(metavar="TEXT", help="What to extract, in words.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any field of the body; JSON value.")]

Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to it, whole or not at all.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]

Via = Annotated[str, typer.Option(metavar="auto|sse|poll|webhook", help="How to follow the job.")]
Port = Annotated[
    int,
    typer.Option(
        min=0,
        max=65535,
        metavar="PORT",
        show_default=False,
        help="By webhook: the port to listen on, else a free one.",
    ),
]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")]
ListenPort = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        metavar="PORT",
        show_default=False,
        help="The port to listen on, else a free one.",
    ),
]
PublicUrl = Annotated[
    str | None, typer.Option("--public-url", metavar="URL", help="Where the server reaches this port: a tunnel's URL.")
]
Interval = Annotated[
    float | None,
    typer.Option(parser=parse_duration, metavar="DURATION", help="Poll this often [default: 1s, growing to 15s]."),
]
Timeout = Annotated[
    float | None,
    typer.Option(parser=parse_duration, metavar="DURATION", help="Stop waiting after so long (exit 124); 10m, 1h30m."),
]
GiveUpAfter = Annotated[
    float,
    typer.Option(
        parser=parse_duration,
        metavar="DURATION",
        show_default=False,
        help="Give up when nothing has answered for so long [default: 2m].",
    ),
]
ProgressMode = Annotated[
    str, typer.Option("--progress", metavar="auto|bar|plain|json|none", help="How progress is shown on stderr.")
]
MaxFailures = Annotated[
    str, typer.Option("--max-failures", metavar="N|P%", help="Exit 5 when more pages than this fail.")
]
CancelOnInterrupt = Annotated[
    bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C cancels the job; without this it goes on.")
]
