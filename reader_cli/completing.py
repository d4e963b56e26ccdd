"""What a TAB offers. It reads the local history and nothing else: each TAB starts Python, so httpx stays out."""

from __future__ import annotations

from reader_cli.env import state_dir

OFFERED = 50


def enable_completion() -> None:
    """Lets Typer answer a TAB, without Rich: to import it costs as much as all the rest, and our help has no markup."""
    from typer import _completion_classes

    _completion_classes._sanitize_help_text = lambda text: text
    _completion_classes.completion_init()


def complete_job(incomplete: str) -> list[str]:
    """Names of runs and ids of jobs that were submitted from here, newest first."""
    from reader_cli.history import History

    history = History.open(state_dir() / "history.db")
    try:
        parts = history.jobs(limit=OFFERED)
    finally:
        history.close()
    words = [word for part in parts for word in (part.name, part.job_id) if word]
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]
