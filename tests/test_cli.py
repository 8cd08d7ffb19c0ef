"""Do the commands ask the right thing, show the answer well, and leave with the right exit code?"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import PROGRAM, answer, hit, root, status
from fake_daemon import HANG, FakeDaemon, Refused

from ctx42d.daemon import cli, cli_model
from ctx42d.daemon.cli_render import coverage_sentence, hit_lines, status_lines, telling_line
from ctx42d.daemon.cli_roots import is_wide
from ctx42d.daemon.cli_words import duration
from ctx42d.daemon.version import VERSION
from ctx42d.indexer import bundle

Script = dict[str, object]


@pytest.fixture
def daemon(home: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(home / "ctx42d.sock", {}) as fake:
        yield fake


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_exists_and_explains_itself(shell, name):
    code, out, _ = shell(name, "--help")
    assert (code, out.startswith(f"Usage: ctx42d {name} ")) == (0, True)


def test_the_version_is_told(shell):
    code, out, err = shell("--version")
    digest = bundle.read_manifest(bundle.DEFAULT_BUNDLE).digest
    assert (code, out, err) == (0, f"ctx42d {VERSION}, model all-MiniLM-L6-v2 {digest}\n", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["search"], "Missing argument 'TEXT...'"),
        (["search", "--frobnicate", "x"], "No such option '--frobnicate'"),
        (["search", "-k", "0", "x"], "0 is out of range: give one from 1 to 1000"),
        (["search", "-k", "many", "x"], "'many' is no whole number: give one from 1 to 1000"),
        (["sync", "--timeout", "x"], "'x' is no number of seconds: give one from 0 to 86400"),
        (["sync", "--timeout", "-1"], "-1 is out of range: give one from 0 to 86400"),
        (["report", "--hours", "x"], "'x' is no number: give one from 0.1 to 168"),
        (["logs", "-n", "-1"], "-1 is out of range: give one from 0 on"),
        (["serch", "x"], "No such command 'serch': did you mean search?"),
        (["search", " "], "the text to search for is empty"),
        (["up", "--wait", "soon"], "'soon' is not one of 'none', 'searchable', 'deep'"),
        (["up", "/no/such/folder"], "/no/such/folder does not exist"),
        (["up", ""], "the path is empty: write . for the current folder"),
        (["why", ""], "the path is empty"),
        (["sync", ""], "the path is empty"),
        (["search", "x", "--root", ""], "the path is empty"),
        (["index", os.devnull], f"{os.devnull} is not a folder"),
        (["roots", "add"], "Missing argument 'PATH...'"),
        (["up", "--bundle", "mine"], "--bundle is for folders: name those that the model is to read"),
        (["config", "get", "watch.quite_ms"], "did you mean `watch.quiet_ms`?"),
        (["config", "set", "log.level", "loud"], '`log.level` is "loud", allowed is one of debug'),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(shell, arguments, sentence):
    code, out, err = shell(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


@pytest.mark.parametrize(
    "arguments",
    ["search x", "status", "status --json", "sync", "verify", "why x", "roots list", "pause", "resume", "reindex ."],
)
def test_without_a_daemon_the_exit_code_is_3_and_says_what_to_do(shell, arguments):
    assert shell(*arguments.split()) == (3, "", "No daemon is running: start it with `ctx42d up`.\n")


def test_a_folder_without_permission_is_named(shell, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    assert shell("up", str(tmp_path)) == (1, "", f"ctx42d: {tmp_path} can't be read: permission denied\n")


def test_refusals_of_the_daemon_are_its_own_words_with_their_exit_code(shell, daemon):
    daemon.script |= {"search": Refused(-32602, "there is no root /x"), "sync": Refused(-32001, "out of time")}
    assert shell("search", "x", "--root", "/x") == (2, "", "ctx42d: there is no root /x\n")
    assert shell("sync") == (1, "", "ctx42d: out of time\n")


def test_a_daemon_that_hangs_is_told_apart_from_none(shell, daemon, monkeypatch):
    monkeypatch.setattr("ctx42d.daemon.cli_connection.QUICK_SECONDS", 0.1)
    daemon.script["status"] = HANG
    assert shell("status") == (1, "", "ctx42d: the daemon did not answer `status` within 0.1 s: see `ctx42d doctor`\n")


def test_hits_are_lines_that_editors_jump_to(shell, daemon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = os.path.realpath(tmp_path)
    prose = hit("/elsewhere/notes.md", symbol="", kind="", start_line=7, text="\n----\nHow to send\n", fresh=False)
    daemon.script["search"] = answer(hit(f"{here}/src/client.py"), prose)
    assert shell("search", "send", "a", "request") == (
        0,
        "src/client.py:34: Client.send: def send(self, request):\n"
        "/elsewhere/notes.md:7: How to send [stale: changed since it was indexed]\n",
        "",
    )
    assert daemon.asked("search") == {"query": "send a request", "near": here}
    shell("search", "--everywhere", "send")
    assert daemon.asked("search") == {"query": "send"}


def test_options_become_parameters_and_folders_real_paths(shell, daemon, tmp_path):
    daemon.script["search"] = answer()
    (tmp_path / "link").symlink_to(tmp_path)
    options = ["-k", "3", "--lang", "python", "--path", "*.py", "--explain", "--wait-fresh", "2", "--wait-deep", "0"]
    assert shell("search", "x", "--root", str(tmp_path / "link"), *options) == (0, "", "No hits.\n")
    assert daemon.asked("search") == {
        "query": "x",
        "k": 3,
        "root": os.path.realpath(tmp_path),
        "lang": "python",
        "path": "*.py",
        "explain": True,
        "wait_fresh_s": 2.0,
        "wait_deep_ms": 0,
    }


@pytest.mark.parametrize(
    ("when", "seconds"),
    [("2026-11-27T18:30+00:00", 1795804200.0), ("1970-01-01T00:00Z", 0.0), ("999999w", 0.0)],
)
def test_changed_since_takes_a_time_or_how_long_ago(shell, daemon, when, seconds):
    daemon.script["search"] = answer()
    assert shell("search", "x", "--changed-since", when)[0] == 0
    assert daemon.asked("search")["changed_since"] == seconds


def test_a_moment_that_is_none_is_refused(shell):
    code, _, err = shell("search", "x", "--changed-since", "yesterday")
    assert code == 2
    assert "'yesterday' is no time: give 2h, 3d, 2026-11-27" in err


def test_a_hit_is_shown_by_the_lines_that_matter(shell, daemon):
    text = "def is_ip(name):\n    return name[:1].isdigit()\n\n\ndef zanzibar():\n    return 1\n"
    whole = {"symbol": "is_ip", "start_line": 225, "end_line": 230, "text": text}
    daemon.script["search"] = answer(hit("/a.py", **whole, focus={"start_line": 229, "end_line": 230}))
    assert shell("search", "zanzibar")[1] == "/a.py:229: is_ip: def zanzibar():\n"
    daemon.script["search"] = answer(hit("/a.py", **whole, focus={"start_line": 225, "end_line": 230}))
    assert shell("search", "is_ip")[1] == "/a.py:225: is_ip: def is_ip(name):\n"
    daemon.script["search"] = answer(hit("/a.py", **whole, focus={"start_line": 227, "end_line": 228}))
    assert shell("search", "blank")[1] == "/a.py:225: is_ip: def is_ip(name):\n"


def test_context_marks_the_lines_that_matter(shell, daemon):
    context = {"start_line": 8, "end_line": 10, "text": "a\nb\n"}
    found = hit(
        "/a.py", focus={"start_line": 9, "end_line": 9}, context=context, also=[{"path": "/b.py", "start_line": 3}]
    )
    daemon.script["search"] = answer(found)
    assert shell("search", "x", "-C", "1")[1].splitlines()[1:] == [
        "    also /b.py:3",
        "    8- a",
        "    9: b",
        "    10-",
    ]


def test_a_text_that_looks_like_an_option_is_searched_after_two_dashes(shell, daemon):
    daemon.script["search"] = answer()
    assert shell("search", "--json", "--", "--force")[0] == 0
    assert daemon.asked("search")["query"] == "--force"


def test_json_is_the_daemons_answer_and_nothing_else(shell, daemon):
    daemon.script["search"] = answer(hit("/a.py"), coverage={"deep": 0.5})
    code, out, err = shell("search", "x", "--json")
    assert (code, json.loads(out), err) == (0, daemon.script["search"], "")


def test_explain_prints_the_shares_below_each_hit(shell, daemon):
    daemon.script["search"] = answer(hit("/a.py", explain={"lexical": 0.5, "deep": 0.25, "rank": 3}))
    assert shell("search", "x", "--explain")[1].splitlines()[1] == "    lexical 0.500  deep 0.250  rank 3"


def test_an_incomplete_index_is_mentioned_on_a_terminal_only(shell, daemon, monkeypatch):
    daemon.script["search"] = answer(hit("/a.py"), coverage={"lexical": 1.0, "deep": 0.999})
    assert shell("search", "x")[2] == ""
    monkeypatch.setattr("sys.stderr", Terminal())
    shell("search", "x")
    assert sys.stderr.getvalue() == "Not everything is searchable yet: lexical 100 %, deep 99 %.\n"


def test_a_deep_tier_that_is_switched_off_is_not_waited_for(shell, daemon, monkeypatch):
    coverage = {"lexical": 1.0, "static": 1.0, "deep": 0.0}
    daemon.script["search"] = answer(hit("/a.py"), coverage=coverage) | {"deep_enabled": False}
    monkeypatch.setattr("sys.stderr", Terminal())
    shell("search", "x")
    assert sys.stderr.getvalue() == ""


def test_status_shows_no_share_of_a_deep_tier_that_is_switched_off(shell, daemon):
    folder = root("/tree", coverage={"lexical": 1.0, "static": 1.0, "deep": 0.0})
    for enabled in (True, False):
        lines = status_lines(status(roots=[folder], deep={"enabled": enabled}), memory=False)
        assert any("deep 0 %" in line for line in lines if line.startswith("root")) is enabled


@pytest.mark.parametrize(("arguments", "method"), [(["search", "x"], "search"), (["symbols", "x"], "symbols")])
def test_where_no_folder_was_added_that_is_why_nothing_is_found(shell, daemon, arguments, method):
    daemon.script |= {method: answer(relevant=False, definitions=[], mentions=[]), "roots_list": {"roots": []}}
    assert shell(*arguments) == (0, "", "No folder is indexed yet: `ctx42d up FOLDER` adds one.\n")
    daemon.script["roots_list"] = {"roots": [root("/tree")]}
    assert "No folder" not in shell(*arguments)[2]


def test_from_a_folder_that_is_gone_a_path_is_refused_in_a_sentence(shell, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for arguments in (["why", "a.py"], ["up", "."], ["search", "x", "--root", "sub"], ["related", "a.py:1"]):
        code, out, err = shell(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "can't be found from here: the current folder is gone, `cd` into another one" in err


@pytest.mark.parametrize("said", [{}, {"deep_enabled": False}])
def test_the_list_of_folders_shows_no_share_of_a_deep_tier_that_is_switched_off(shell, daemon, said):
    folder = root("/tree", coverage={"lexical": 1.0, "static": 1.0, "deep": 0.0})
    daemon.script["roots_list"] = {"roots": [folder], **said}
    assert ("deep 0 %" in shell("roots", "list")[1]) is not bool(said)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_names_that_are_not_text_keep_their_bytes_and_cannot_break_a_line(daemon):
    name = os.fsdecode(b"/caf\xe9\n\x1b[2J/a b.py")
    daemon.script["search"] = answer(hit(name, symbol="", text="x = 'é→'"))
    environ = os.environ | {"LC_ALL": "C.UTF-8"}
    done = subprocess.run([*PROGRAM, "search", "x"], capture_output=True, timeout=30, env=environ)
    assert done.stdout == b"/caf\xe9\\n\\x1b[2J/a b.py:34: " + "x = 'é→'\n".encode()
    done = subprocess.run([*PROGRAM, "search", "x", "--json"], capture_output=True, timeout=30)
    assert json.loads(done.stdout)["hits"][0]["path"] == name


def test_an_encoding_that_lacks_a_letter_gets_a_question_mark(daemon):
    daemon.script["search"] = answer(hit(os.fsdecode(b"/\xff.py"), symbol="", text="x = '→'"))
    environ = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROGRAM, "search", "x"], capture_output=True, timeout=30, env=environ)
    assert (done.stdout, done.returncode) == (b"/\xff.py:34: x = '?'\n", 0)


def test_a_reader_that_has_gone_ends_the_command_quietly(daemon):
    daemon.script["search"] = answer(*[hit(f"/{number}.py") for number in range(20_000)])
    with subprocess.Popen([*PROGRAM, "search", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as search:
        assert search.stdout is not None
        assert search.stderr is not None
        search.stdout.readline()
        search.stdout.close()
        assert (search.stderr.read(), search.wait(20)) == (b"", 0)


def test_a_search_imports_neither_rich_nor_anything_heavy(daemon):
    daemon.script["search"] = answer(hit("/a.py"))
    program = (
        "import sys; from ctx42d.daemon import cli; cli.run(['search', 'x']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=30)
    heavy = {"rich", "tomlkit", "numpy", "sqlite3", "subprocess", "tomllib", "logging.handlers", "ctx42d.daemon.launch"}
    assert heavy & set(done.stderr.split()) == set()


def test_status_says_what_matters_and_more_on_request(shell, daemon):
    roots = [root("/a", pending=3, coverage={"lexical": 1.0, "deep": 0.34}), root("/b", watching=False)]
    daemon.script["status"] = status(roots=roots, notes=["no inotify on /b"], last_error="worker killed\nby signal 9")
    code, out, err = shell("status")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"ctx42d {VERSION} (pid {os.getpid()}): idle, up 2 h",
        "watching 1 of 2 folders, 24 files, 2 files given up, the rest fresh; 87 of 512 MB",
        "root    /a: 12 files, 1,340 chunks, 3 pending, watching, lexical 100 %, deep 34 %",
        "root    /b: 12 files, 1,340 chunks, not watching, lexical 100 %, static 100 %, deep 100 %",
        "queue   0 pending, 0 in flight, 2 quarantined",
        "memory  87 of 512 MB (auto), normal, peak 190 MB",
        "note    no inotify on /b",
        "error   worker killed\\nby signal 9",
    ]
    more = shell("status", "--memory")[1]
    assert "daemon 60 MB, workers 27 MB" in more
    assert "gc runs 3, refreshes 1, recycles 0, kills 0" in more


def test_listing_commands_pass_the_daemons_json_on(shell, daemon):
    whys = {"path": "/a", "root": None, "state": "outside", "reason": None, "chunks": 0, "deep": 0}
    daemon.script |= {"status": status(), "roots_list": {"roots": [root("/a")]}, "why": whys}
    daemon.script["verify"] = {"clean": True, "checked": 3, "differs": []}
    for arguments, method in (
        ("status", "status"),
        ("roots list", "roots_list"),
        ("why a", "why"),
        ("verify", "verify"),
    ):
        code, out, _ = shell(*arguments.split(), "--json")
        assert (code, json.loads(out)) == (0, daemon.script[method])


def test_another_environment_than_the_daemons_is_mentioned(shell, daemon, monkeypatch):
    monkeypatch.setenv("MEMORY_MAX_HEAP_SIZE", "900")
    monkeypatch.setenv("MEMORY_BATCH_SIZE", "8")
    daemon.script["status"] = status(environment={"MEMORY_MAX_HEAP_SIZE": "512", "MEMORY_BATCH_SIZE": "8"})
    (line,) = shell("status")[2].splitlines()
    assert "MEMORY_MAX_HEAP_SIZE=900 (the daemon: 512);" in line


def test_another_version_is_mentioned(home, shell):
    with FakeDaemon(home / "ctx42d.sock", {"pause": {"state": "paused"}}, version="7.0"):
        _, out, err = shell("pause")
    assert out == "paused\n"
    assert err == f"The daemon is version 7.0, this is ctx42d {VERSION}: run `ctx42d restart`.\n"


def test_sync_waits_as_long_as_it_is_told(shell, daemon, tmp_path):
    daemon.script["sync"] = {"synced": True, "waited_ms": 41.7}
    assert shell("sync", str(tmp_path), "--timeout", "5") == (0, "", "in sync after 42 ms\n")
    assert daemon.asked("sync") == {"path": os.path.realpath(tmp_path), "timeout_s": 5.0}


def test_verify_lists_what_differs_and_fails(shell, daemon):
    daemon.script["verify"] = {"clean": False, "checked": 9, "differs": [{"path": "/a b", "problem": "other text"}]}
    assert shell("verify") == (1, "/a b: other text\n", "1 difference in 9 files compared\n")
    daemon.script["verify"] = {"clean": True, "checked": 1, "differs": []}
    assert shell("verify") == (0, "clean: 1 file compared\n", "")
    assert daemon.asked("verify") == {"path": None, "index": False}
    assert shell("verify", "--index") == (0, "clean: 1 file compared, the index checked\n", "")
    assert daemon.asked("verify") == {"path": None, "index": True}


def test_why_asks_about_a_link_itself(shell, daemon, tmp_path):
    (tmp_path / "link.py").symlink_to("/etc/hostname")
    here = os.path.realpath(tmp_path)
    skipped = {"state": "skipped", "reason": "a symbolic link", "chunks": 0, "deep": 0}
    daemon.script["why"] = lambda asked: asked | skipped
    assert shell("why", str(tmp_path / "link.py"))[1] == f"{here}/link.py: skipped: a symbolic link\n"


def test_roots_are_listed_added_and_removed(shell, daemon, tmp_path):
    here = os.path.realpath(tmp_path)
    daemon.script |= {
        "roots_list": {"roots": []},
        "roots_add": {"roots": [{"path": here, "added": False, "note": "inside /x"}]},
        "roots_remove": {"removed": here, "files": 12},
    }
    assert shell("roots", "list") == (0, "", "No folders yet: add one with `ctx42d up PATH`.\n")
    assert shell("roots", "add", here, here)[2] == f"already there: {here} (inside /x)\n"
    assert daemon.asked("roots_add") == {"paths": [here]}
    assert shell("roots", "remove", here)[1] == f"removed {here}: 12 files forgotten\n"


@pytest.mark.parametrize(
    ("typed", "sent"), [("mine", "mine"), ("default", "default"), ("./mine", "{here}/mine"), (".", "{here}")]
)
@pytest.mark.parametrize("command", [["roots", "add", "."], ["up", ".", "--wait", "none"]], ids=["add", "up"])
def test_a_bundle_is_a_name_as_typed_or_an_absolute_folder(shell, daemon, tmp_path, monkeypatch, command, typed, sent):
    monkeypatch.chdir(tmp_path)
    here = os.path.realpath(tmp_path)
    daemon.script |= {"roots_add": {"roots": []}, "roots_list": {"roots": []}, "status": status()}
    assert shell(*command, "--bundle", typed)[0] == 0
    assert daemon.asked("roots_add") == {"paths": [here], "bundle": sent.format(here=here)}


def test_a_folder_with_a_model_of_its_own_names_it(shell, daemon):
    daemon.script["roots_list"] = {"roots": [root("/a") | {"bundle": "default"}, root("/b") | {"bundle": "mine"}]}
    _, out, _ = shell("roots", "list")
    assert [", bundle mine," in line for line in out.splitlines()] == [False, True]


def test_the_whole_disk_is_refused_without_a_terminal_or_a_yes(shell, daemon):
    daemon.script |= {"roots_count": {"files": 90_000, "truncated": True}, "roots_add": {"roots": []}}
    code, _, err = shell("roots", "add", "/")
    assert (code, err.splitlines()) == (
        1,
        [
            "Warning: / has more than 90,000 files to index; a project's own folder is usually meant.",
            "ctx42d: / was not added: say --yes if it is meant",
        ],
    )
    assert "roots_add" not in [method for method, _ in daemon.calls]
    assert shell("roots", "add", "/", "--yes")[0] == 0


def test_only_the_home_folder_and_what_holds_it_are_wide():
    table = {"/": True, "/home": True, "/home/me": True, "/home/me/src": False, "/home/m": False, "/srv": False}
    assert {folder: is_wide(folder, "/home/me") for folder in table} == table


def test_reindex_says_how_many(shell, daemon, tmp_path):
    daemon.script["reindex"] = {"queued": 1}
    assert shell("reindex", str(tmp_path)) == (0, "queued 1 file\n", "")


def test_model_commands_become_the_exporter(shell, home, monkeypatch):
    became: list[list[str]] = []
    monkeypatch.setattr(cli_model.os, "execv", lambda program, arguments: became.append(arguments[3:]))
    shell("model", "list", "--json")
    shell("model", "export", "models/MiniLM/")
    assert became == [
        ["ctx42d.indexer.export", "list", "--json", "--models-dir", f"{home}/models"],
        ["ctx42d.indexer.export", "export", "models/MiniLM/", "--output", f"{home}/models/MiniLM"],
    ]


def test_run_becomes_the_daemon_in_the_foreground(shell, monkeypatch):
    became: list[list[str]] = []
    monkeypatch.setattr("ctx42d.daemon.cli_lifecycle.os.execv", lambda program, arguments: became.append(arguments))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        shell("run")
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:  # else whatever this process starts would hear of no Ctrl-C
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert became == [[sys.executable, "-P", "-m", "ctx42d.daemon.service", "--foreground"]]


def test_the_line_that_says_most_is_shown():
    assert telling_line("# why\n@cached\ndef send():\n", "Client.send") == "def send():"
    assert telling_line("}\n// note\nreturn x;\n", "") == "return x;"
    assert telling_line('"""Only words."""\n', "") == '"""Only words."""'
    assert telling_line("---\n\n", "") == ""


def test_coverage_is_only_mentioned_when_something_is_missing():
    assert coverage_sentence({"lexical": 1, "deep": 1.0}) is None
    assert "deep 0 %" in (coverage_sentence({"deep": 0.001}) or "")


def test_durations_read_as_a_person_says_them():
    table = {0.4: "0 s", 89: "89 s", 90: "2 min", 3600: "60 min", 7300: "2 h", 200_000: "2 days"}
    assert {seconds: duration(seconds) for seconds in table} == table


def test_further_places_of_a_hit_are_named_by_their_lines(shell, daemon):
    places = [{"start_line": 7, "end_line": 7}, {"start_line": 9, "end_line": 12}]
    daemon.script["search"] = answer(hit("/a.py", further=places))
    assert hit_lines(hit("/a.py", further=places), "/a.py")[1:] == ["    further 7, 9-12"]
    assert shell("search", "x")[1].splitlines()[1:] == [], "not where another program reads it"


INTERRUPTED_WHILE_IT_BEGINS = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from ctx42d.daemon.entry import main
main()
"""


@pytest.mark.parametrize(("handler", "code"), [(signal.SIG_DFL, -signal.SIGINT), (signal.SIG_IGN, 0)])
def test_an_interruption_while_the_program_begins_is_no_traceback(handler, code):
    done = subprocess.run(
        [sys.executable, "-P", "-c", INTERRUPTED_WHILE_IT_BEGINS, "completion", "bash"],
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    assert (done.returncode, done.stderr) == (code, b"")
    assert bool(done.stdout) is (code == 0)
