"""Ignore rules answer as git does: compared with `git check-ignore --no-index` on real repositories."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctx42d.indexer.gitignore import Frame, IgnoreFile
from ctx42d.indexer.rulefiles import deciding
from ctx42d.indexer.rules import RuleBook, SelectionSettings

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git itself is the judge here")

SETTINGS = SelectionSettings(max_file_kb=1024, include=(), exclude=(), gitignore=True)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which neither git nor we see the configuration of whoever runs the tests."""
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: bytes, environ: Mapping[str, str], *words: str, data: bytes = b"") -> bytes:
    done = subprocess.run(["git", "-C", folder, *words], input=data, capture_output=True, env=environ, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def paths_below(root: bytes) -> list[tuple[bytes, bool]]:
    """Every path in the tree, without .git, and whether it is a folder."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != b".git"]
        here = os.path.relpath(folder, root) + b"/" if folder != root else b""
        found += [(here + name, not os.path.islink(os.path.join(folder, name))) for name in folders]
        found += [(here + name, False) for name in files]
    return found


def answers_of_git(root: bytes, environ: Mapping[str, str], paths: list[bytes]) -> dict[bytes, tuple[bytes, int]]:
    """For each path the file and the line of the rule that decides, (b"", 0) if none does."""
    out = git(root, environ, "check-ignore", "--no-index", "-v", "-n", "--stdin", "-z", data=b"\0".join(paths) + b"\0")
    fields = out.split(b"\0")[:-1]
    return {fields[i + 3]: (fields[i], int(fields[i + 1] or 0)) for i in range(0, len(fields), 4)}


class OurAnswers:
    """The same question put to our rules: a folder's rule holds for all below it, as in git."""

    def __init__(self, root: bytes, environ: Mapping[str, str]) -> None:
        self._book = RuleBook(root, SETTINGS, (), environ)
        self._root = root

    def __call__(self, path: bytes, *, is_dir: bool) -> tuple[bytes, int]:
        parts = path.split(b"/")
        frames = self._book.folder(b"").git
        for depth, name in enumerate(parts):
            last = depth == len(parts) - 1
            found = deciding(frames, name, is_dir=is_dir or not last)
            if last or (found and not found[1].negated):
                return (os.fsencode(found[0].source), found[1].line) if found else (b"", 0)
            here = b"/".join(parts[: depth + 1])
            own = IgnoreFile(data, os.fsdecode(here + b"/.gitignore")) if (data := self._rules(here)) else None
            frames = (*([Frame.at(own)] if own else []), *(frame.child(name) for frame in frames))
        raise AssertionError("a path has parts")

    def _rules(self, reldir: bytes) -> bytes:
        path = os.path.join(self._root, reldir, b".gitignore")
        if os.path.islink(path) or not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            return file.read()


def differences(root: bytes, environ: Mapping[str, str]) -> tuple[int, int, list[object]]:
    """(paths compared, paths that a rule decides about, those that we answer otherwise than git)."""
    paths = paths_below(root)
    theirs = answers_of_git(root, environ, [path for path, _ in paths])
    ours = OurAnswers(root, environ)
    wrong: list[object] = []
    for path, is_dir in paths:
        file, line = ours(path, is_dir=is_dir)
        file = file[len(root) + 1 :] if file.startswith(root + b"/") else file
        if (file, line) != theirs[path]:
            wrong.append((path, theirs[path], (file, line)))
    return len(paths), sum(1 for answer in theirs.values() if answer[1]), wrong


def write(root: bytes, path: bytes, data: bytes = b"") -> None:
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(data)


RULES = {
    b".gitignore": rb"""# a comment
*.log
!important.log
/build
docs/_build/
temp/
**/deep/*.c
a/**/z
foo**/bar
x**//
[Tt]humbs.db
*.py[cod]
[[:digit:]]*.txt
[!a-c]only
[]-]odd
unclosed[
trailing\ <- a space
spaces-go<- three
tab-stays	<- and a tab
\#hash
\!bang
!\!bang/keep
*/one-level
gen/*
!gen/keep/
!gen/keep/**
**/vendor/**
!**/vendor/mine
caf\303\251
back\\slash
no-eol-\
only-dir//
""".replace(rb"\303\251", b"\xc3\xa9")
    .replace(b"<- a space", b"")
    .replace(b"<- three", b"   ")
    .replace(b"<- and a tab", b""),
    b"sub/.gitignore": b"!*.log\n*.tmp\n/anchored\n!temp/\n",
    b"sub/inner/.gitignore": b"\xef\xbb\xbf*.bom\r\n*.crlf\r\n!keep.crlf\r\nlast.log",
    b"build/.gitignore": b"!*\n",
    b"gen/keep/.gitignore": b"*\n!.gitignore\n!real.py\n",
    b"latin/.gitignore": b"caf\xe9*\n*.\xff\n",
}
PARTS = [b"a", b"b", b"z", b"sub", b"inner", b"deep", b"docs", b"_build", b"temp", b"gen", b"keep", b"vendor", b"mine"]
PARTS += [b"build", b"latin", b"foo", b"foox", b"bar", b"x", b"caf\xc3\xa9", b"caf\xe9", b"one-level"]
NAMES = [
    b"x.log",
    b"important.log",
    b"m.py",
    b"m.pyc",
    b"q.c",
    b"1.txt",
    b"a.txt",
    b"Thumbs.db",
    b"thumbs.db",
    b"donly",
]
NAMES += [b"aonly", b"]odd", b"-odd", b"unclosed[", b"trailing ", b"trailing", b"spaces-go", b"tab-stays\t", b"#hash"]
NAMES += [b"!bang", b"k.tmp", b"anchored", b"r.bom", b"r.crlf", b"keep.crlf", b"last.log", b"real.py", b"caf\xc3\xa9"]
NAMES += [b"caf\xe91", b"n.\xff", b"back\\slash", b"no-eol-\\", b"only-dir", b"new\nline.log", b"z", b"bar", b"temp"]


def grow(root: bytes, seed: int, count: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        folders = [chance.choice(PARTS) for _ in range(chance.randint(0, 4))]
        path = b"/".join([*folders, chance.choice(NAMES)])
        try:
            write(root, path)
        except OSError:  # a folder of that name is there already, or a file where a folder has to be
            continue


@needs_git
def test_a_tree_with_many_nested_rules_is_answered_as_git_does_line_by_line(tmp_path, environ):
    root = os.fsencode(tmp_path / "repo")
    os.mkdir(root)
    git(root, environ, "init", "-q")
    for path, rules in RULES.items():
        write(root, path, rules)
    write(root, b".git/info/exclude", b"excluded-here\n*.c\n!q.c\n/sub/inner/r.bom\n")
    write(os.fsencode(environ["HOME"]), b".config/git/ignore", b"*.py\n!keep.py\n")
    grow(root, seed=42, count=1500)
    os.symlink(b".gitignore", os.path.join(root, b"a/.gitignore"))  # git reads no rules through a link
    os.symlink(b"sub", os.path.join(root, b"temp-link"))
    compared, decided, wrong = differences(root, environ)
    assert compared > 1000
    assert decided > 300
    assert wrong == []


@needs_git
def test_core_excludesfile_in_gitconfig_and_its_include_replaces_the_default_file(tmp_path, environ):
    root = os.fsencode(tmp_path / "repo")
    os.mkdir(root)
    git(root, environ, "init", "-q")
    home = os.fsencode(environ["HOME"])
    write(home, b".config/git/ignore", b"*.unused\n")
    write(home, b".gitconfig", b'[user]\n\tname = x ; y\n[include]\n\tpath = "more.inc"\n')
    write(home, b"more.inc", b"[core] # why not\n  excludesFile = ~/my\\\\ignore\n")
    write(home, b"my\\ignore", b"*.mine\n")
    for name in (b"a.mine", b"b.unused", b"c/d.mine"):
        write(root, name)
    assert answers_of_git(root, environ, [b"a.mine"])[b"a.mine"][1] == 1
    assert differences(root, environ)[2] == []
    git(root, environ, "config", "core.excludesFile", "local-rules")
    write(root, b"local-rules", b"b.*\n")
    assert answers_of_git(root, environ, [b"b.unused"])[b"b.unused"] == (b"local-rules", 1)
    assert differences(root, environ)[2] == []


@needs_git
def test_a_linked_work_tree_takes_info_exclude_from_the_main_repository(tmp_path, environ):
    main = os.fsencode(tmp_path / "main")
    os.mkdir(main)
    git(main, environ, "init", "-q")
    git(main, environ, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "start")
    git(main, environ, "worktree", "add", "-q", str(tmp_path / "linked"))
    write(main, b".git/info/exclude", b"*.out\n")
    linked = os.fsencode(tmp_path / "linked")
    write(linked, b"a.out")
    write(linked, b"a.in")
    assert OurAnswers(linked, environ)(b"a.out", is_dir=False)[1] == 1
    assert answers_of_git(linked, environ, [b"a.out"])[b"a.out"][1] == 1
    assert OurAnswers(linked, environ)(b"a.in", is_dir=False)[1] == 0


@needs_git
def test_core_ignorecase_is_obeyed(tmp_path, environ):
    root = os.fsencode(tmp_path)
    git(root, environ, "init", "-q", "repo")
    root += b"/repo"
    git(root, environ, "config", "core.ignoreCase", "true")
    write(root, b".gitignore", b"*.LOG\nReadMe\n/Docs/Api/\nx[A-C]y\n*Q*.c\n")
    for path in (b"a.log", b"README", b"docs/api/x", b"xby", b"src/aqa.C", b"other"):
        write(root, path)
    book = RuleBook(root, SETTINGS, (), environ)
    theirs = {
        path for path, answer in answers_of_git(root, environ, [p for p, _ in paths_below(root)]).items() if answer[1]
    }
    ours = set()
    for path, is_dir in paths_below(root):
        reldir, _, name = path.rpartition(b"/")
        folder = book.folder(reldir)
        if (is_dir and book.folder(path).out) or (folder.out or deciding(folder.git, name, is_dir=is_dir)):
            ours.add(path)
    assert ours == theirs != set()


PIECES = [
    "a",
    "b",
    "ab",
    "foo",
    "bar",
    ".",
    "*",
    "**",
    "?",
    "/",
    "/",
    "**/",
    "/**",
    "!",
    "#",
    "-",
    " ",
    "\t",
    "\r",
    "\\",
    "\\*",
]
PIECES += [
    "[ab]",
    "[!a]",
    "[^b]",
    "[a-f]",
    "[]a]",
    "[!]a]",
    "[a-",
    "[",
    "[b-a]",
    "[/a]",
    "[a**]",
    "[a-**]",
    "[\\]a]",
    "***",
]
PIECES += ["[[:alpha:]]", "[[:punct:]_]", "[[:x:]]", "[[:digit:]", "*.py", ".py", "\\a", "\\ ", "é"]
patterns = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, str]]:
    """A repository whose rules are rewritten for every example, with names that the generated patterns are about."""
    if shutil.which("git") is None:
        pytest.skip("git itself is the judge here")
    home = tmp_path_factory.mktemp("home")
    surroundings = {"HOME": str(home), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    root = os.fsencode(tmp_path_factory.mktemp("generated"))
    git(root, surroundings, "init", "-q")
    chance = random.Random(7)
    names = [
        "a",
        "b",
        "ab",
        "foo",
        "bar",
        "a.py",
        "A",
        "c d",
        "[",
        "-",
        "\\",
        "x*",
        "foobar",
        "]",
        "_",
        "a ",
        "\t",
        "!a",
        "#a",
        "é",
    ]
    for _ in range(150):
        path = os.fsencode("/".join(chance.choice(names) for _ in range(chance.randint(1, 4))))
        try:
            write(root, path)
        except OSError:
            continue
    return root, surroundings


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules=st.lists(patterns, min_size=1, max_size=4), nested=st.lists(patterns, max_size=2))
def test_generated_rules_are_answered_as_git_does(playground, rules, nested):
    root, environ = playground
    write(root, b".git/info/exclude", "\n".join(rules).encode())
    write(root, b"a/.gitignore" if os.path.isdir(root + b"/a") else b".gitignore", "\n".join(nested).encode())
    _, _, wrong = differences(root, environ)
    assert wrong == []


def matches(pattern: bytes, path: bytes, *, is_dir: bool = False) -> bool:
    frame = Frame.at(IgnoreFile(pattern, "rules"))
    *folders, name = path.split(b"/")
    for folder in folders:
        frame = frame.child(folder)
    return frame.match(name, is_dir=is_dir) is not None


@pytest.mark.parametrize(
    "pattern", [b"*a" * 40 + b"b", b"**/a" * 30 + b"/b", b"x/" + b"*a*" * 30 + b"b", b"[a*]*" * 40 + b"b"]
)
def test_a_pattern_made_to_be_slow_is_not(pattern):
    began = time.perf_counter()
    assert not matches(pattern, b"x/" + b"a/" * 100 + b"a" * 200)
    assert time.perf_counter() - began < 1.0


def test_a_file_of_ten_thousand_rules_finds_the_last_that_matches():
    rules = b"".join(b"name%d\n*.ext%d\nw*%d?x\n/d/p%d\n" % (i, i, i, i) for i in range(2500)) + b"!name7\n"
    frame = Frame.at(IgnoreFile(rules, "rules"))
    found = [frame.match(name, is_dir=False) for name in (b"name7", b"a.ext2499", b"wz99ax", b"nothing")]
    assert [rule and (rule.line, rule.negated) for rule in found] == [(10001, True), (9998, False), (399, False), None]
    below = frame.child(b"d").match(b"p12", is_dir=False)
    assert below is not None
    assert below.line == 52
