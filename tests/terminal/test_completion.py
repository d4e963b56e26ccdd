"""Completion, asked for by real shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from running import READER, reader

from reader_cli.history import History
from reader_cli.inputs.records import Item

SCRIPTS = Path(__file__).parents[2] / "completions"
FILES = {"bash": "reader.bash", "zsh": "reader.zsh", "fish": "reader.fish", "pwsh": "reader.ps1"}
BASH = """
source {script}
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_reader_completion reader
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# compdef and _arguments belong to an interactive zsh: they are replaced, the script's function is run as it stands.
ZSH = """
compdef() {{ }}
_arguments() {{ print -r -- "$@" }}
words=({words}) CURRENT={count}
source {script}
_reader_completion
"""


def complete(shell: str, words: str, environ: dict[str, str]) -> str:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = SCRIPTS / FILES[shell]
    program = {
        "bash": BASH.format(script=script, words=words),
        "zsh": ZSH.format(script=script, words=words, count=len(words.split())),
        "fish": f"source {script}; complete -C '{words}'",
    }[shell]
    path = f"{Path(READER).parent}:{environ['PATH']}"
    done = subprocess.run([shell, "-c", program], env={**environ, "PATH": path}, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_options_and_jobs(shell: str, home: dict[str, str]) -> None:
    history = History.open(Path(home["XDG_STATE_HOME"]) / "reader" / "history.db")
    run = history.new_run("local", "nightly", {}, [[Item("https://a.example/", None, "args", 1)]], now=1.0)
    history.mark_accepted(run.parts[0], {"id": "job_beef01"})
    history.close()
    assert "status" in complete(shell, "reader st", home)
    assert "--max-failures" in complete(shell, "reader watch --max", home)
    assert "job_beef01" in complete(shell, "reader results job", home)
    assert "nightly" in complete(shell, "reader watch ni", home)


@pytest.mark.parametrize("shell", FILES)
def test_the_scripts_in_the_repository_are_what_the_command_writes(shell: str, home: dict[str, str]) -> None:
    done = reader("completion", shell, environ=home)
    assert done.out == (SCRIPTS / FILES[shell]).read_bytes(), "see the contributing guide for the command"


def test_an_unknown_shell_is_a_usage_error(home: dict[str, str]) -> None:
    done = reader("completion", "tcsh", environ=home)
    assert (done.code, done.out) == (2, b"")
