"""Do real shells complete our commands, options, settings and paths?"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_kit import PROGRAM

from ctx42d.daemon.cli import COMMANDS

BASH_KNOWS = "complete -o nosort -F _ctx42d_completion ctx42d"


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"needs {shell}")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A `ctx42d` in a folder of its own, to put before PATH."""
    script = tmp_path / "bin" / "ctx42d"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {PROGRAM[0]} -P -c "{PROGRAM[-1]}" "$@"\n')
    script.chmod(0o755)
    return script.parent


def asked(words: str, at: int) -> list[str]:
    """What bash would be offered for the word at a place."""
    environ = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": str(at), "_CTX42D_COMPLETE": "bash_complete"}
    done = subprocess.run(PROGRAM, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_commands_options_settings_and_paths_are_offered() -> None:
    assert {line.partition(",")[2] for line in asked("ctx42d ", 1)} == set(COMMANDS)
    assert "plain,--watch" in asked("ctx42d status --", 2)
    assert asked("ctx42d config get memory.max", 3) == ["plain,memory.max_mb"]
    assert asked("ctx42d up src", 2) == ["file,src"]
    assert asked("ctx42d roots add src", 3) == ["file,src"]
    assert asked("ctx42d nonsense ", 2) == asked("ctx42d ", 1) or asked("ctx42d nonsense ", 2) == []


def bash() -> list[str]:
    script = (
        "source <(ctx42d completion bash); COMP_WORDS=(ctx42d sta); COMP_CWORD=1; _ctx42d_completion ctx42d;"
        ' printf "%s\\n" "${COMPREPLY[@]}"; complete -p ctx42d'
    )
    return ["bash", "--norc", "-c", script]


def zsh() -> list[str]:
    script = "autoload -U compinit; compinit -u -D; source <(ctx42d completion zsh); print -r -- $_comps[ctx42d]"
    return ["zsh", "-f", "-c", script]


def fish() -> list[str]:
    return ["fish", "--no-config", "-c", 'ctx42d completion fish | source; complete -C "ctx42d sta"']


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param(
            bash, ["status", "complete -o nosort -F _ctx42d_completion ctx42d"], marks=needs("bash"), id="bash"
        ),
        pytest.param(zsh, ["_ctx42d_completion"], marks=needs("zsh"), id="zsh"),
        pytest.param(fish, ["status"], marks=needs("fish"), id="fish"),
    ],
)
def test_a_real_shell_takes_the_script(command, words: list[str], program: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}
    done = subprocess.run(command(), env=environ, capture_output=True, text=True, timeout=100)
    said = {line.split("\t")[0].strip() for line in done.stdout.splitlines()}
    assert set(words) <= said, (done.stdout, done.stderr)


def test_an_unknown_shell_is_refused() -> None:
    done = subprocess.run([*PROGRAM, "completion", "tcsh"], capture_output=True, text=True)
    assert (done.returncode, "tcsh" in done.stderr, "Traceback" in done.stderr) == (2, True, False)
