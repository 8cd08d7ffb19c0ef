"""Another user of the machine can neither connect, nor read the index, nor the log, nor the configuration."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from service_kit import NO_DEEP, service, tree

pytestmark = pytest.mark.second_uid

NOBODY = 65534
AS_ANOTHER = (
    f"NOBODY = {NOBODY}"
    + """
import os, socket, sys
os.setgroups([]); os.setgid(NOBODY); os.setuid(NOBODY)
for path in sys.argv[1:]:
    try:
        if path.endswith(".sock"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(path)
                client.sendall(b'{"id": 1, "method": "status"}\\n')
                said = "answered" if client.recv(100) else "hung up"
        else:
            said = "listed" if os.path.isdir(path) and os.listdir(path) else "read" * bool(open(path, "rb").read(9))
    except OSError as error:
        said = type(error).__name__
    print(said)
"""
)


@pytest.fixture
def home():
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory(prefix="c42-") as folder:
        os.chmod(folder, 0o755)  # as /home is
        with service(Path(folder) / "home", NO_DEEP) as made:
            os.chmod(made.folder, 0o700)  # as the daemon makes it where it isn't there
            made.ok("up", tree(Path(folder) / "tree", 2))
            yield made


def tries(*paths):
    done = subprocess.run([sys.executable, "-P", "-c", AS_ANOTHER, *paths], capture_output=True, text=True, check=True)
    return dict(zip([path.name for path in paths], done.stdout.split("\n"), strict=False))


def test_nothing_of_ours_is_open_to_another_user(home):
    files = [file for file in home.folder.rglob("*") if file.is_file() and file.name != "config.toml"]
    assert {"index.db", "ctx42d.log", "vectors.static", "roots.json"} <= {file.name for file in files}
    assert set(tries(home.folder, home.socket, *files).values()) == {"PermissionError"}


def test_not_even_where_the_folder_was_opened_to_everybody(home):
    os.chmod(home.folder, 0o755)
    files = [file for file in home.folder.rglob("*") if file.is_file() and file.name != "config.toml"]
    assert set(tries(home.socket, *files).values()) == {"PermissionError"}


def test_a_socket_that_was_opened_to_everybody_hangs_up_on_another_user(home):
    os.chmod(home.folder, 0o755)
    os.chmod(home.socket, 0o666)
    assert tries(home.socket)["ctx42d.sock"] in ("hung up", "ConnectionResetError", "BrokenPipeError")
    assert home.ask("status")["pid"]
