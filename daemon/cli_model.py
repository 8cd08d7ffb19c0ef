"""`ctx42d model`: which models are there, and how does another one get in?

Both commands become `ctx42d.indexer.export`, in the same process: the client itself knows nothing of models.
"""

import json
import os
import subprocess
import sys

import click

from ctx42d.daemon.cli_connection import our_paths

LIST_SECONDS = 20.0
EXPORT = (sys.executable, "-P", "-m", "ctx42d.indexer.export")


@click.group("model")
def model_command() -> None:
    """List the models that are there, or export another one."""


@model_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_models(as_json: bool) -> None:
    """List the model that is shipped and those exported since."""
    _become(["list", *(["--json"] if as_json else []), "--models-dir", os.fspath(our_paths().models_dir)])


@model_command.command("export")
@click.argument("name_or_path")
@click.option("--output", metavar="DIR", help="Where to put the bundle; by default among our own data.")
def export_model(name_or_path: str, output: str | None) -> None:
    """Turn a sentence-transformers model into a bundle (needs `pip install 'ctx42d[export]'`)."""
    name = os.path.basename(os.path.normpath(name_or_path))
    _become(["export", name_or_path, "--output", output or os.fspath(our_paths().models_dir / name)])


def shipped_model() -> str:
    """Return ", model NAME DIGEST" of the shipped bundle; nothing where its program can't tell."""
    try:
        done = subprocess.run([*EXPORT, "list", "--json"], capture_output=True, timeout=LIST_SECONDS, check=True)
        (shipped,) = [row for row in json.loads(done.stdout) if row["shipped"]]
        return f", model {shipped['name']} {shipped['digest']}"
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return ""


def _become(arguments: list[str]) -> None:
    sys.stdout.flush()
    os.execv(EXPORT[0], [*EXPORT, *arguments])  # noqa: S606 - the answer is that program's
