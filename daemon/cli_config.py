"""`ctx42d config`: what is every setting, where does it come from, and how is it changed?

Needs no daemon. Reading and refusing is `config.py`, writing is `config_edit.py`.
"""

import os

import click

from ctx42d.daemon.cli_connection import our_daemon, our_paths
from ctx42d.daemon.cli_exit import BadArgument
from ctx42d.daemon.cli_output import emit, emit_json, notice
from ctx42d.daemon.client import ClientError, NoDaemon
from ctx42d.daemon.config import ENVIRONMENT, Config, ConfigError, load, shown


@click.group("config")
def config_command() -> None:
    """List, read or change the settings."""


@config_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_settings(as_json: bool) -> None:
    """List every setting and where it comes from: default, a file, or the environment."""
    config = _loaded()
    if as_json:
        emit_json([{"key": k, "value": config.value(k), "origin": config.origin(k)} for k in config])
        return
    width = max(len(f"{key} = {shown(config.value(key))}") for key in config)
    for key in config:
        emit(f"{f'{key} = {shown(config.value(key))}':<{width}}  # {config.origin(key)}")


@config_command.command("get")
@click.argument("key")
def get_setting(key: str) -> None:
    """Print the value of KEY."""
    config = _loaded()
    try:
        value = config.value(key)
    except ConfigError as error:
        raise BadArgument(str(error)) from None
    emit(value if isinstance(value, str) else shown(value))


@config_command.command("set")
@click.argument("key")
@click.argument("value")
def set_setting(key: str, value: str) -> None:
    """Write KEY = VALUE into the user's file. A running daemon takes over what it can."""
    from ctx42d.daemon.config_edit import set_value

    path = our_paths().config_file
    try:
        written = set_value(path, key, value)
    except ConfigError as error:
        raise BadArgument(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{path} can't be written: {error.strerror}") from None
    emit(f"{key} = {shown(written)} in {path}")
    if (variable := ENVIRONMENT.get(key)) and os.environ.get(variable):
        notice(f"{variable}={os.environ[variable]} in the environment wins over it.")
    _tell_daemon(key)


def _loaded() -> Config:
    try:
        return load(our_paths().config_file)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _tell_daemon(key: str) -> None:
    """Have a running daemon read it, and say whether it is obeyed already."""
    try:
        with our_daemon() as client:
            done = client.call("reload")
    except NoDaemon:
        return
    except ClientError as error:  # one of another version, or a file that it refuses elsewhere
        notice(f"The running daemon obeys it after `ctx42d restart` ({error}).")
        return
    if key in done["after_restart"]:
        notice("The running daemon obeys it after `ctx42d restart`.")
    elif key in done["applied"]:
        notice("The running daemon obeys it from now on.")
