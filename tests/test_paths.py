"""Does everything lie where the XDG specification, or CTX42D_HOME, says?"""

import os
import stat
from pathlib import Path

from ctx42d.daemon.paths import make_private, resolve


def test_without_any_variable_the_xdg_defaults_are_used(tmp_path):
    paths = resolve({"HOME": str(tmp_path)})
    assert paths.config_file == tmp_path / ".config/ctx42d/config.toml"
    assert paths.database == tmp_path / ".local/share/ctx42d/index.db"
    assert paths.log_file == tmp_path / ".local/state/ctx42d/ctx42d.log"
    assert paths.socket == paths.log_file.with_name("ctx42d.sock")
    assert paths.lock_file.parent == paths.models_dir.parent == paths.data_dir


def test_xdg_variables_move_their_part(tmp_path):
    runtime = tmp_path / "run"
    runtime.mkdir()
    names = {"XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": "d", "XDG_STATE_HOME": "s", "XDG_RUNTIME_DIR": "run"}
    paths = resolve({"HOME": "/nobody"} | {name: str(tmp_path / folder) for name, folder in names.items()})
    assert paths.config_file == tmp_path / "c/ctx42d/config.toml"
    assert paths.database == tmp_path / "d/ctx42d/index.db"
    assert paths.log_file == tmp_path / "s/ctx42d/ctx42d.log"
    assert paths.socket == runtime / "ctx42d/ctx42d.sock"


def test_relative_and_empty_xdg_values_are_ignored(tmp_path):
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": "./run"}
    assert resolve(environ) == resolve({"HOME": str(tmp_path)})


def test_a_runtime_folder_that_does_not_exist_is_ignored(tmp_path):
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "gone")}
    assert resolve(environ).socket == tmp_path / ".local/state/ctx42d/ctx42d.sock"


def test_ctx42d_home_puts_everything_directly_under_one_folder(tmp_path):
    paths = resolve({"CTX42D_HOME": str(tmp_path), "HOME": "/nobody", "XDG_RUNTIME_DIR": "/tmp"})
    files = (paths.config_file, paths.database, paths.socket, paths.log_file, paths.lock_file)
    assert [file.name for file in files] == ["config.toml", "index.db", "ctx42d.sock", "ctx42d.log", "ctx42d.lock"]
    assert {file.parent for file in files} == {tmp_path}
    assert paths.folders == (tmp_path,)


def test_a_relative_ctx42d_home_is_taken_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({"CTX42D_HOME": "here"}).database == tmp_path / "here/index.db"


def test_without_home_the_password_file_is_asked():
    assert resolve({}).config_file.is_absolute()


def test_resolving_makes_nothing(tmp_path):
    resolve({"CTX42D_HOME": str(tmp_path / "new")})
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_made_private_and_existing_ones_keep_their_mode(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    old = os.umask(0)
    try:
        make_private(shared / "a/b")
        make_private(shared / "a/b")
    finally:
        os.umask(old)

    def mode(folder: Path) -> int:
        return stat.S_IMODE(folder.stat().st_mode)

    assert [mode(shared), mode(shared / "a"), mode(shared / "a/b")] == [0o755, 0o700, 0o700]
