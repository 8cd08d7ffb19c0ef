"""The walk and the question `why_not`: which files belong, and the reason why not the others."""

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from permissions import obey_permissions

from ctx42d.indexer.selection import SelectionSettings, Selector, why_not_size

DEFAULT = SelectionSettings(max_file_kb=1024, include=(), exclude=(), gitignore=True)


def chosen(**changes: object) -> SelectionSettings:
    values = {"max_file_kb": 1024, "include": (), "exclude": (), "gitignore": True, **changes}
    return SelectionSettings(**values)  # type: ignore[arg-type]


def plant(root: bytes, *paths: bytes | str, text: bytes = b"x = 1\n") -> None:
    for path in paths:
        full = os.path.join(root, os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(text)


class Walked:
    """One walk: the files seen, the folders in order, what was skipped and why, the errors."""

    def __init__(self, selector: Selector, start: bytes = b"") -> None:
        self.folders: list[bytes] = []
        self.errors: dict[bytes, OSError] = {}
        self.skipped: dict[bytes, str] = {}
        seen = selector.walk(
            start,
            on_directory=self.folders.append,
            on_error=self.errors.__setitem__,
            on_skipped=self.skipped.__setitem__,
        )
        self.files = {found.relpath: found.stat for found in seen}


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    folder = tmp_path.resolve() / "root"
    folder.mkdir()
    return os.fsencode(folder)


@pytest.fixture
def select(root: bytes, tmp_path: Path) -> Callable[..., Selector]:
    """A selector that sees no git configuration of whoever runs the tests."""

    def build(settings: SelectionSettings = DEFAULT, nested: tuple[bytes, ...] = (), at: bytes = b"") -> Selector:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        environ = {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
        return Selector(os.path.join(root, at) if at else root, settings, nested, environ=environ)

    return build


def test_names_with_spaces_newlines_and_bytes_that_are_no_text_are_seen(root, select):
    names = [b"with space.py", b"new\nline.py", b"caf\xe9.py", b"d \n\xff/\xfe.py", b"'\"\\.py", b"-rf.py"]
    plant(root, *names)
    walked = Walked(select())
    assert sorted(walked.files) == sorted(names)
    assert walked.files[b"caf\xe9.py"].st_size == 6
    assert [select().why_not(name) for name in names] == [None] * len(names)


def test_a_folder_is_announced_before_it_is_listed(root, select):
    plant(root, b"a/x.py", b"b/y.py")

    def appear(folder: bytes) -> None:
        plant(root, os.path.join(folder, b"late.py"))

    seen = select().walk(on_directory=appear, on_error=lambda *_: None)
    assert {found.relpath for found in seen} >= {b"late.py", b"a/late.py", b"b/late.py"}


def test_links_and_what_is_no_file_are_left_out_with_a_reason(root, select):
    plant(root, b"a/x.py")
    os.symlink(b"a", root + b"/link")
    os.symlink(b"a/x.py", root + b"/link.py")
    os.symlink(b".", root + b"/a/loop")
    os.mkfifo(root + b"/pipe.py")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fsdecode(os.path.relpath(root + b"/sock.py")))
        walked = Walked(select())
    assert list(walked.files) == [b"a/x.py"]
    assert walked.folders == [b"", b"a"]
    links = dict.fromkeys([b"link", b"link.py", b"a/loop"], "symbolic link")
    assert walked.skipped == {**links, **dict.fromkeys([b"pipe.py", b"sock.py"], "not a regular file")}
    assert Walked(select(), b"link").skipped == {b"link": "symbolic link"}


WALK = """
import os, sys
from ctx42d.indexer.selection import SelectionSettings, Selector
selector = Selector(os.fsencode(sys.argv[1]), SelectionSettings(1024, (), (), True))
errors = []
found = [seen.relpath for seen in selector.walk(on_directory=lambda _: None, on_error=lambda *e: errors.append(e))]
print(found, [(folder, type(error).__name__) for folder, error in errors])
"""


def test_a_folder_that_cannot_be_read_is_reported_and_the_walk_goes_on(root):
    plant(root, b"closed/x.py", b"open/y.py")
    os.chmod(root + b"/closed", 0)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", WALK, root], capture_output=True, text=True, preexec_fn=obey_permissions
        )
    finally:
        os.chmod(root + b"/closed", 0o755)
    assert done.stdout == "[b'open/y.py'] [(b'closed', 'PermissionError')]\n", done.stderr


def test_a_folder_that_vanishes_during_the_walk_is_reported_and_the_walk_goes_on(root, select):
    plant(root, b"a/x.py", b"b/y.py", b"c/z.py")
    errors: dict[bytes, OSError] = {}

    def remove_b(folder: bytes) -> None:
        if folder == b"b":
            shutil.rmtree(root + b"/b")

    seen = [found.relpath for found in select().walk(on_directory=remove_b, on_error=errors.__setitem__)]
    assert seen == [b"a/x.py", b"c/z.py"]
    assert isinstance(errors[b"b"], FileNotFoundError)


def test_a_start_that_vanished_is_reported(root, select):
    walked = Walked(select(), b"gone")
    assert walked.files == {}
    assert isinstance(walked.errors[b"gone"], FileNotFoundError)


def test_a_chain_of_1500_folders_is_walked(root, select):
    here = os.open(root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x.py", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    walked = Walked(select())
    reason = select().why_not(b"d/" * 1500 + b"x.json")
    subprocess.run(["rm", "-rf", root], check=True)  # shutil.rmtree recurses too deep for this tree, pytest's too
    assert list(walked.files) == [b"d/" * 1500 + b"x.py"]
    assert reason == "data (json); selection.include brings it back"


def test_size_is_checked_in_the_walk_and_named_in_the_reason(root, select):
    plant(root, b"big.py", text=b"x" * 2049)
    plant(root, b"fits.py", text=b"x" * 2048)
    walked = Walked(select(chosen(max_file_kb=2)))
    assert list(walked.files) == [b"fits.py"]
    assert walked.skipped == {b"big.py": "larger than 2 KB (selection.max_file_kb)"}
    assert why_not_size(2048, chosen(max_file_kb=2)) is None


BY_DEFAULT_OUT = """node_modules/a/b.js .venv/x.py venv/x.py __pycache__/x.py .git/config .hg/x.py .svn/x.py .jj/x.py
    .tox/x.py .mypy_cache/x.py .pytest_cache/x.py .ruff_cache/x.py .idea/x.py .gradle/x.py .next/x.js
    a/site-packages/x.py p.egg-info/x.py a.min.js a.min.css a.js.map a.pyc data.json a.csv
    package-lock.json yarn.lock poetry.lock go.sum a.png a.unknown a.py~"""
BY_DEFAULT_IN = """a.py build/x.py dist/x.py out/x.py target/x.rs env/x.py bin/x coverage/x.py vendor/lib/x.go script
    .github/workflows/ci.yml .gitlab-ci.yml .eslintrc web/package.json web/tsconfig.json Makefile Dockerfile README.md
    docs/index.rst .env.example"""


def test_what_nobody_speaks_about_is_left_out_or_in_by_our_defaults(root, select):
    out, kept = BY_DEFAULT_OUT.split(), BY_DEFAULT_IN.split()
    plant(root, *out, *kept)
    assert [name for name in out if select().why_not(os.fsencode(name)) is None] == []
    assert sorted(Walked(select()).files) == sorted(os.fsencode(name) for name in kept)


def test_build_output_is_known_by_a_manifest_beside_it_unless_git_decides(root, select):
    plant(
        root,
        "web/package.json",
        "web/dist/a.js",
        "web/build/a.js",
        "rust/Cargo.toml",
        "rust/target/a.rs",
        "src/build/a.py",
    )
    walked = Walked(select())
    assert sorted(walked.files) == [b"rust/Cargo.toml", b"src/build/a.py", b"web/package.json"]
    assert walked.skipped[b"web/dist"] == "build output by its name, beside package.json"
    plant(root, ".git/HEAD", text=b"ref: refs/heads/main\n")
    assert b"web/dist/a.js" in Walked(select()).files


def test_folders_that_mark_themselves_are_left_out(root, select):
    plant(root, "my/pyvenv.cfg", "my/x.py", "cmake/CMakeCache.txt", "cmake/x.c", "fake/x.py")
    plant(root, "cache/CACHEDIR.TAG", "cache/x.py", text=b"Signature: 8a477f597d28d172789f06886806bc55\n")
    plant(root, "fake/CACHEDIR.TAG", text=b"not the signature")
    walked = Walked(select())
    assert sorted(walked.files) == [b"fake/x.py"]
    assert {path: walked.skipped[path] for path in (b"my", b"cache")} == {
        b"my": "a virtual environment (it holds pyvenv.cfg)",
        b"cache": "a cache (it holds CACHEDIR.TAG)",
    }
    assert select().why_not(b"my/x.py") == walked.skipped[b"my"]


SECRETS = """.env .env.local a/.env.production prod.env id_rsa .ssh/config id_ed25519 tls.key store.p12 a.pfx a.jks
    a.keystore .netrc .pgpass .npmrc .pypirc .htpasswd .aws/credentials .docker/config.json .kube/config
    .git-credentials my-service-account.json main.tfstate main.tfstate.backup prod.auto.tfvars x.tfvars.json
    .bash_history credentials.json secrets.yaml ID_RSA .ENV"""


def test_secrets_are_out_for_good(root, select):
    names = [os.fsencode(name) for name in SECRETS.split()]
    plant(root, *names)
    plant(root, ".ctx42dignore", text=b"!*\n!.ssh/\n")
    selector = select(chosen(include=("*", ".aws/", ".docker/")))
    assert [name for name in names if selector.why_not(name) is None] == []
    assert set(Walked(selector).files) <= {b".ctx42dignore"}
    kept = [b".env.example", b".env.sample", b".env.template", b"secrets.py", b"keys.py", b"test_credentials.py"]
    assert [select().why_not(name) for name in kept] == [None] * len(kept)


def test_include_brings_back_what_defaults_leave_out_but_not_what_rules_do(root, select):
    plant(root, "data/a.json", "data/b.csv", "other.json", "ignored.json", "node_modules/x.js", "deep/fixtures/c.json")
    plant(root, ".gitignore", text=b"ignored.json\n")
    selector = select(chosen(include=("data/*.json", "ignored.json", "node_modules/", "fixtures/")))
    seen = set(Walked(selector).files)
    assert seen == {b"data/a.json", b"node_modules/x.js", b"deep/fixtures/c.json", b".gitignore"}
    assert [selector.brought_back(path) for path in (b"data/a.json", b"deep/fixtures/c.json", b"other.json")] == [
        True,
        True,
        False,
    ]


def test_exclude_is_the_strongest_and_says_so(root, select):
    plant(root, "docs/a.md", "a.py", "b.py", "keep/b.py")
    plant(root, ".ctx42dignore", text=b"!b.py\n!docs/\n")
    selector = select(chosen(exclude=("docs/", "/b.py")))
    assert set(Walked(selector).files) - {b".ctx42dignore"} == {b"a.py", b"keep/b.py"}
    assert selector.why_not(b"docs/a.md") == "excluded by selection.exclude (docs/)"


def test_our_ignore_file_is_stronger_than_gits_and_the_reason_names_file_and_line(root, select):
    plant(root, "a.gen.py", "b.gen.py", "sub/c.gen.py", "sub/x.json", "out.py")
    plant(root, ".gitignore", text=b"# generated\n*.gen.py\n")
    plant(root, ".ctx42dignore", text=b"!b.gen.py\nout.py\n")
    plant(root, "sub/.ctx42dignore", text=b"!x.json\n")
    selector = select()
    walked = Walked(selector)
    assert {b"b.gen.py", b"sub/x.json"} <= set(walked.files)
    assert walked.skipped == {
        b"a.gen.py": "ignored by .gitignore:2 (*.gen.py)",
        b"sub/c.gen.py": "ignored by .gitignore:2 (*.gen.py)",
        b"out.py": "ignored by .ctx42dignore:2 (out.py)",
    }
    assert selector.brought_back(b"sub/x.json")
    assert Walked(select(chosen(gitignore=False))).skipped.keys() == {b"out.py"}


def test_ancestors_rules_count_up_to_the_top_of_the_work_tree(root, select):
    plant(root, ".git/HEAD", text=b"ref: refs/heads/main\n")
    plant(root, ".gitignore", text=b"*.gen.py\n/pkg/sub/no.py\nbuild/\n")
    plant(root, "pkg/.gitignore", text=b"!kept.gen.py\n")
    plant(root, "pkg/sub/a.gen.py", "pkg/sub/kept.gen.py", "pkg/sub/no.py", "pkg/sub/yes.py")
    inner = select(at=b"pkg/sub")
    assert sorted(Walked(inner).files) == [b"kept.gen.py", b"yes.py"]
    assert inner.why_not(b"no.py") == f"ignored by {os.fsdecode(root)}/.gitignore:2 (/pkg/sub/no.py)"
    plant(root, "build/a.gen.py", "build/x.py")
    ignored = select(at=b"build")  # chosen though git ignores it: git has no say
    assert sorted(Walked(ignored).files) == [b"a.gen.py", b"x.py"]


def test_a_nested_repository_has_its_own_rules_and_the_outer_ones_only_leave_it_out_as_a_whole(root, select):
    for repository in ("", "inner/", "gone/"):
        plant(root, repository + ".git/HEAD", text=b"ref: refs/heads/main\n")
    plant(root, ".gitignore", text=b"*.gen.py\ngone/\n")
    plant(root, "inner/.git/info/exclude", text=b"*.own.py\n")
    plant(root, "inner/a.gen.py", "inner/a.own.py", "gone/a.py", "a.gen.py")
    walked = Walked(select())
    assert set(walked.files) == {b".gitignore", b"inner/a.gen.py"}
    assert walked.skipped[b"gone"] == "ignored by .gitignore:2 (gone/)"


def test_a_repository_that_git_was_still_making_is_noticed_once_it_is_one(root, select):
    plant(root, ".gitignore", text=b"*.gen.py\n")
    plant(root, "inner/a.gen.py", "inner/.git/objects/x")
    selector = select()
    assert set(Walked(selector).files) == {b".gitignore"}
    assert not selector.rules_changed_outside()
    plant(root, "inner/.git/HEAD", text=b"ref: refs/heads/main\n")
    assert selector.rules_changed_outside()
    assert set(Walked(selector).files) == {b".gitignore", b"inner/a.gen.py"}
    assert not selector.rules_changed_outside()


def test_another_root_inside_is_left_to_itself(root, select):
    plant(root, "a/x.py", "a/b/x.py", "ab/x.py")
    selector = select(nested=(root + b"/a/b", root, b"/elsewhere"))
    walked = Walked(selector)
    assert sorted(walked.files) == [b"a/x.py", b"ab/x.py"]
    assert walked.skipped == {b"a/b": "another root"}
    assert selector.why_not(b"a/b/x.py") == "another root"


def test_changed_rules_count_after_they_were_forgotten(root, select):
    plant(root, "sub/a.py", "sub/deep/b.py")
    selector = select()
    assert selector.why_not(b"sub/deep/b.py") is None
    plant(root, "sub/.gitignore", text=b"*.py\n")
    assert Selector.is_rule_file(b"sub/.gitignore")
    assert selector.why_not(b"sub/deep/b.py") is None
    selector.forget_rules(b"sub")
    assert selector.why_not(b"sub/deep/b.py") == "ignored by sub/.gitignore:1 (*.py)"
    os.unlink(root + b"/sub/.gitignore")
    assert set(Walked(selector, b"sub").files) == {b"sub/a.py", b"sub/deep/b.py"}
    names = [b".ctx42dignore", b"x/pyvenv.cfg", b"gitignore", b"a.py"]
    assert [Selector.is_rule_file(name) for name in names] == [True, True, False, False]


@pytest.mark.skipif(shutil.which("git") is None, reason="git itself is the judge here")
@pytest.mark.parametrize("seed", range(6))
def test_on_real_trees_the_walk_and_the_question_agree_and_git_agrees_with_both(root, select, tmp_path, seed):
    chance = random.Random(seed)
    parts = [b"a", b"b", b"src", b"lib", b"node_modules", b"build", b"doc s", b"x\xff", b".ssh", b".github", b"gh"]
    names = [
        b"a.py",
        b"b.py",
        b"c.json",
        b"Makefile",
        b"script",
        b".env",
        b"m.min.js",
        b"hosts.yml",
        b"n\n.rb",
        b"t.txt",
    ]
    rules = [
        b"*.py",
        b"!a.py",
        b"/build",
        b"lib/",
        b"src/**/b.py",
        b"!src/",
        b"a/*/c",
        b"**/doc s",
        b"[m-n]*",
        b"*",
        b"!*/",
    ]
    for _ in range(300):
        folders = [chance.choice(parts) for _ in range(chance.randint(0, 4))]
        plant(root, b"/".join([*folders, chance.choice(names)]))
    for reldir in [b"", *(b"/".join(chance.choices(parts, k=chance.randint(1, 2))) for _ in range(6))]:
        file = chance.choice([b".gitignore", b".gitignore", b".ctx42dignore"])
        text = b"\n".join(chance.sample(rules, k=chance.randint(1, 3)))
        plant(root, os.path.join(reldir, file), text=text if reldir else text.replace(b"*\n", b""))
    environ = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", root], check=True, env=environ)
    settings = chosen(include=("*.json",), exclude=("gh/",))
    walked = Walked(select(settings))
    assert len(walked.files) + len(walked.skipped) > 20
    asked = select(settings)
    assert [path for path in walked.files if asked.why_not(path) is not None] == []
    folders = {path for path in walked.skipped if os.path.isdir(os.path.join(root, path))}
    answers = {path: asked.why_not(path, is_dir=path in folders) for path in walked.skipped}
    assert answers == walked.skipped
    inside_out = [os.path.join(here, name)[len(root) + 1 :] for here, _, found in os.walk(root) for name in found]
    expected = [path for path in inside_out if path not in walked.files]
    assert [path for path in expected if asked.why_not(path) is None] == []
    out = subprocess.run(
        ["git", "-C", root, "check-ignore", "--no-index", "--stdin", "-z"],
        input=b"\0".join([*walked.files, *walked.skipped]),
        capture_output=True,
        env=environ,
        check=False,
    )
    ignored = set(out.stdout.split(b"\0"))
    by_git = {path for path, reason in walked.skipped.items() if ".gitignore:" in reason}
    assert by_git <= ignored
    assert {path for path in walked.files if path in ignored and not asked.brought_back(path)} <= {
        path for path in walked.files if b".ctx42dignore" in rule_files_above(root, path)
    }


def rule_files_above(root: bytes, path: bytes) -> set[bytes]:
    """The names of ignore files in the folders above a path: "!" in one of ours may have brought a folder back."""
    found: set[bytes] = set()
    while path:
        path = os.path.dirname(path)
        found |= {name for name in (b".gitignore", b".ctx42dignore") if os.path.exists(os.path.join(root, path, name))}
    return found
