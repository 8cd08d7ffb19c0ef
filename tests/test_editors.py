"""Save in an editor, ask in it: the snippets of docs/editors.md, in the real Neovim and Emacs, with the real daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit import NO_DEEP, Home, service, write

PAGE = Path(__file__).resolve().parent.parent / "docs" / "editors.md"
LONG_S = 60
BEFORE = "def weigh(parcel):\n    return parcel.grams\n"

needs_nvim = pytest.mark.skipif(not shutil.which("nvim"), reason="nvim is not installed")
needs_emacs = pytest.mark.skipif(not shutil.which("emacs"), reason="emacs is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    program = str(Path(sys.executable).parent)
    path = {"PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}
    with service(tmp_path_factory.mktemp("home"), NO_DEEP, environ=path) as home:
        home.ok("up")
        yield home


@pytest.fixture
def source(home: Home, tmp_path: Path) -> Iterator[Path]:
    """A file that is indexed, in a root of its own."""
    file = write(tmp_path / "tree" / "parcels.py", BEFORE)
    home.ask("roots_add", paths=[str(file.parent)])
    home.sync()
    yield file
    home.ask("roots_remove", path=str(file.parent))


def snippet(language: str) -> str:
    """The page's code in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def run(home: Home, command: list[str | Path], cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=home.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONG_S
    )
    assert done.returncode == 0, done
    return done.stdout


def nvim(home: Home, source: Path, *commands: str) -> str:
    """Run Ex commands on a file with our plugin, and write what the quickfix list holds."""
    plugin, out = write(source.parent.parent / "ctx42d.vim", snippet("vim")), source.parent.parent / "quickfix"
    listed = "map(getqflist(), {_, hit -> bufname(hit.bufnr) .. ':' .. hit.lnum .. ':' .. hit.text})"
    ex = [f"source {plugin}", *commands, f"call writefile({listed}, '{out}')", "qall!"]
    run(
        home, ["nvim", "--headless", "-u", "NONE", "-i", "NONE", source.name, *[f"+{one}" for one in ex]], source.parent
    )
    return out.read_text()


def emacs(home: Home, source: Path, *forms: str) -> str:
    """Evaluate forms with a file's buffer current and our functions loaded; return what was printed."""
    write(source.parent.parent / "ctx42d.el", snippet("elisp"))
    visit = f'(progn (load "{source.parent.parent}/ctx42d.el" nil t) (find-file "{source}") {" ".join(forms)})'
    return run(home, ["emacs", "--batch", "-Q", "--eval", visit], source.parent)


@needs_nvim
@pytest.mark.needs_editor
@pytest.mark.parametrize("way", ["backupcopy=no", "backupcopy=yes", "nowritebackup"])
def test_what_neovim_saves_is_found_in_it(home, source, way):
    before = source.stat().st_ino
    said = nvim(home, source, f"set backupskip= {way}", "%s/weigh/saved_by_neovim/", "write", "Ctx42d saved_by_neovim")
    assert (source.stat().st_ino != before) == (way == "backupcopy=no"), "it renames, or writes in place"
    assert said.startswith("parcels.py:1:saved_by_neovim: def saved_by_neovim(parcel):")


@needs_nvim
@pytest.mark.needs_editor
def test_neovim_asks_for_what_belongs_to_lines_and_to_names(home, source):
    write(
        source.parent / "post.py", "from parcels import weigh\n\n\ndef stamp(parcel):\n    return weigh(parcel) / 20\n"
    )
    home.sync()
    assert nvim(home, source, "1,2Ctx42dRelated").startswith("post.py:")
    names = nvim(home, source, "normal gg0w", "Ctx42dSymbol").splitlines()
    assert [line.split(":")[:2] for line in names] == [["parcels.py", "1"], ["post.py", "1"]]


@needs_emacs
@pytest.mark.needs_editor
@pytest.mark.parametrize("way", ["file-precious-flag", "backup-by-copying"])
def test_what_emacs_saves_is_found_in_it(home, source, way):
    before = source.stat().st_ino
    said = emacs(
        home,
        source,
        f'(setq {way} t) (search-forward "weigh") (replace-match "saved_by_emacs") (save-buffer)',
        '(with-current-buffer (ctx42d "saved_by_emacs")',
        "(while (get-buffer-process (current-buffer)) (accept-process-output nil 0.1))",
        "(next-error 1 t))",
        '(with-current-buffer (window-buffer) (princ (format "%s:%d" (buffer-name) (line-number-at-pos))))',
    )
    assert (source.stat().st_ino != before) == (way == "file-precious-flag"), "it renames, or writes in place"
    assert said == "parcels.py:1"


@pytest.mark.parametrize("way", ["in place", "a temporary file renamed over it"])
def test_what_is_saved_as_vs_code_does_is_found_by_its_task(home, source, way):
    text = BEFORE.replace("weigh", "saved_by_code")
    if way == "in place":
        with open(source, "r+") as file:
            file.truncate()
            file.write(text)
    else:
        write(source.with_name("parcels.py.vsctmp"), text).replace(source)
    settings = json.loads(snippet("json"))
    (task,) = settings["tasks"]
    (asked,) = settings["inputs"]
    arguments = [argument.replace(f"${{input:{asked['id']}}}", "saved_by_code") for argument in task["args"]]
    assert task["options"]["cwd"] == "${workspaceFolder}"
    said = run(home, [task["command"], *arguments], source.parent)
    pattern = task["problemMatcher"]["pattern"]
    found = re.match(pattern["regexp"], said.splitlines()[0])
    assert found
    assert (found[pattern["file"]], found[pattern["line"]]) == ("parcels.py", "1")


def test_a_file_that_is_saved_again_and_again_is_what_it_was_last(home, source):
    for number in range(20):
        write(source.with_name("parcels.py~"), BEFORE.replace("weigh", f"weigh_{number}")).replace(source)
    home.sync()
    hit = home.ask("search", query="weigh_19", root=str(source.parent), k=1)["hits"][0]
    assert (hit["fresh"], hit["symbol"]) == (True, "weigh_19")
    assert [Path(path).name for path in home.found("weigh", source.parent)] == ["parcels.py"]
