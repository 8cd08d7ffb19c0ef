"""Is each client's configuration written so that the client finds us, and only that?"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Shell

from ctx42d.daemon.mcp_clients import CLIENTS, SEEN_WHEN, login_environment

FILES = {
    "claude-code": ".claude.json",
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "zed": ".config/zed/settings.json",
    "codex": ".codex/config.toml",
}
PROJECT_FILES = {
    "claude-code": ".mcp.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".vscode/mcp.json",
    "zed": ".zed/settings.json",
    "codex": ".codex/config.toml",
}
SECTIONS = {"vscode": "servers", "zed": "context_servers", "codex": "mcp_servers"}
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the paths are Linux's")


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user's home folder, and the current folder in it."""
    home = Path(os.path.realpath(tmp_path)) / "user"
    (home / "project").mkdir(parents=True)
    for name in (
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "CTX42D_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "project")
    return home


@pytest.fixture
def shell(user: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def servers(path: Path, client: str) -> dict[str, Any]:
    read: dict[str, Any] = tomllib.loads(path.read_text()) if path.suffix == ".toml" else json.loads(path.read_text())
    section: dict[str, Any] = read.get(SECTIONS.get(client, "mcpServers"), {})
    return section


@pytest.mark.parametrize("client", FILES)
def test_install_writes_what_the_client_reads_once(user: Path, shell: Shell, client: str) -> None:
    code, shown, said = shell("mcp", "install", "--client", client, "--yes")
    entry = servers(user / FILES[client], client)["ctx42d"]
    assert code == 0
    assert os.access(entry["command"], os.X_OK)
    assert entry["args"][-1] == "mcp"
    assert entry.get("type") == ("stdio" if client in ("claude-code", "vscode") else None)
    assert entry["command"] in shown
    assert f"written; {SEEN_WHEN[client]}" in said
    text = (user / FILES[client]).read_text()
    assert shell("mcp", "install", "--client", client, "--yes")[1] == ""
    assert (user / FILES[client]).read_text() == text
    assert len(list((user / FILES[client]).parent.glob("*backup*"))) == 0


@pytest.mark.parametrize("client", FILES)
def test_uninstall_takes_out_our_entry_alone(user: Path, shell: Shell, client: str) -> None:
    path = user / FILES[client]
    path.parent.mkdir(parents=True, exist_ok=True)
    section = SECTIONS.get(client, "mcpServers")
    other = (
        f'[{section}.other]\ncommand = "x"  # mine\n'
        if client == "codex"
        else f'{{\n  "{section}": {{\n    "other": {{}}\n  }}\n}}\n'
    )
    path.write_text(other)
    path.chmod(0o640)
    shell("mcp", "install", "--client", client, "--yes")
    assert set(servers(path, client)) == {"other", "ctx42d"}
    assert path.stat().st_mode & 0o777 == 0o640
    assert shell("mcp", "uninstall", "--client", client, "--yes")[0] == 0
    assert path.read_text().rstrip() == other.rstrip()
    assert shell("mcp", "uninstall", "--client", client, "--yes")[2].rstrip().endswith("does not have ctx42d")
    first, second = sorted(path.parent.glob(f"{path.name}.ctx42d-backup*"))
    assert first.read_text() == other
    assert "ctx42d" in second.read_text()


@pytest.mark.parametrize("client", FILES)
@pytest.mark.parametrize("had", [True, False])
def test_uninstall_leaves_an_empty_table_only_where_there_was_one(
    user: Path, shell: Shell, client: str, had: bool
) -> None:
    path, section = user / FILES[client], SECTIONS.get(client, "mcpServers")
    path.parent.mkdir(parents=True, exist_ok=True)
    if client == "codex":
        before = f'model = "x"\n\n[{section}]\n' if had else 'model = "x"\n'
    else:
        before = f'{{\n  "{section}": {{}},\n  "theme": "dark"\n}}\n' if had else '{\n  "theme": "dark"\n}\n'
    path.write_text(before)
    for _ in range(2):
        shell("mcp", "install", "--client", client, "--yes")
        shell("mcp", "uninstall", "--client", client, "--yes")
        assert path.read_text().rstrip() == before.rstrip()


@pytest.mark.parametrize("client", PROJECT_FILES)
def test_project_writes_into_the_current_folder(user: Path, shell: Shell, client: str) -> None:
    assert shell("mcp", "install", "--client", client, "--project", "--yes")[0] == 0
    assert "ctx42d" in servers(user / "project" / PROJECT_FILES[client], client)
    assert not (user / FILES[client]).exists()


def test_a_client_without_configurations_of_projects_says_so(shell: Shell) -> None:
    code, _, said = shell("mcp", "install", "--client", "claude-desktop", "--project")
    assert (code, "leave out --project" in said) == (1, True)


def test_print_shows_and_writes_nothing(user: Path, shell: Shell) -> None:
    code, shown, _ = shell("mcp", "install", "--client", "cursor", "--print")
    assert code == 0
    assert '+    "ctx42d": {' in shown
    assert not (user / ".cursor").exists()


def test_without_a_terminal_nothing_is_written_unless_yes_is_said(user: Path, shell: Shell) -> None:
    code, shown, said = shell("mcp", "install", "--client", "cursor")
    assert code == 1
    assert "ctx42d" in shown
    assert "say --yes" in said
    assert not (user / ".cursor").exists()


def test_secrets_of_other_entries_are_not_shown(user: Path, shell: Shell) -> None:
    lines = [
        "{",
        '  "a": 1,',
        '  "token": "hunter2",',
        '  "b": 1,',
        '  "c": 2,',
        '  "mcpServers": {',
        '    "x": {}',
        "  }",
        "}",
    ]
    (user / ".claude.json").write_text("\n".join(lines))
    shown = shell("mcp", "install", "--client", "claude-code", "--print")[1]
    assert "hunter2" not in shown


def test_a_file_that_is_not_what_it_should_be_is_left_as_it_is(user: Path, shell: Shell) -> None:
    for client, text in (("claude-code", "{broken"), ("codex", "= 1"), ("zed", '{"context_servers": 7}')):
        path = user / FILES[client]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        code, _, said = shell("mcp", "install", "--client", client, "--yes")
        assert code == 1
        assert "is left as it is" in said
        assert path.read_text() == text


def test_a_file_that_is_a_link_stays_one(user: Path, shell: Shell) -> None:
    (user / "dotfiles").mkdir()
    (user / "dotfiles" / "claude.json").write_text("{}\n")
    (user / ".claude.json").symlink_to("dotfiles/claude.json")
    assert shell("mcp", "install", "--client", "claude-code", "--yes")[0] == 0
    assert (user / ".claude.json").is_symlink()
    assert "ctx42d" in (user / "dotfiles" / "claude.json").read_text()


def test_several_clients_at_once_and_their_own_folders(
    user: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(user / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(user / "codex"))
    assert shell("mcp", "install", "--client", "claude-code", "--client", "codex", "--yes")[0] == 0
    assert (user / "claude" / ".claude.json").exists()
    assert (user / "codex" / "config.toml").exists()


def test_the_entry_carries_what_finds_this_users_daemon(
    user: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTX42D_HOME", "here")
    shell("mcp", "install", "--client", "cursor", "--yes")
    assert servers(user / ".cursor/mcp.json", "cursor")["ctx42d"]["env"] == {
        "CTX42D_HOME": str(user / "project" / "here")
    }
    monkeypatch.delenv("CTX42D_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    shell("mcp", "install", "--client", "cursor", "--yes")
    assert servers(user / ".cursor/mcp.json", "cursor")["ctx42d"]["env"] == {"XDG_STATE_HOME": "/state"}


def test_an_unknown_client_is_refused_with_the_known_ones(shell: Shell) -> None:
    code, _, said = shell("mcp", "install", "--client", "emacs")
    assert code == 2
    assert all(client in said for client in CLIENTS)


def test_no_client_named_is_refused_with_the_known_ones(shell: Shell) -> None:
    code, _, said = shell("mcp", "install")
    assert code == 2
    assert (
        "Missing option '--client'. Choose from: claude-code, claude-desktop, cursor, vscode, zed, codex (see" in said
    )


def test_the_runtime_folder_that_a_client_left_out_is_put_back_where_it_is(user: Path) -> None:
    runtime = Path(f"/run/user/{os.getuid()}")
    ours = runtime.is_dir() and runtime.stat().st_uid == os.getuid()
    assert login_environment({"HOME": str(user)}) == ({"XDG_RUNTIME_DIR": str(runtime)} if ours else {})
    assert login_environment({"HOME": str(user), "XDG_RUNTIME_DIR": "/x"}) == {}
    socket = user / ".local/state/ctx42d/ctx42d.sock"
    socket.parent.mkdir(parents=True)
    socket.touch()
    assert login_environment({"HOME": str(user)}) == {}
