"""status, pause, reindex, why, verify, logs, restart, and what is said when there is no daemon or one too many."""

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from service_kit import NO_DEEP, SERVICE, Home, module, service, wait_until, write

from ctx42d.daemon.version import VERSION

NOBODY_THERE = "No daemon is running: start it with `ctx42d up`.\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("home"), NO_DEEP) as home:
        home.ok("up")
        yield home


@pytest.fixture
def home(shared: Home) -> Iterator[Home]:
    """The daemon, without roots before and after."""
    yield shared
    for root in shared.ask("roots_list")["roots"]:
        shared.ask("roots_remove", path=root["path"])


@pytest.fixture
def tree(home: Home, tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    write(folder / "one.py", module("azimuth"))
    write(folder / "sub" / "two.py", module("zenith"))
    home.ask("roots_add", paths=[str(folder)])
    home.sync()
    return folder


def test_status_as_json_has_the_documented_shape(home, tree):
    status = home.json("status")
    assert set(status) >= {"version", "pid", "uptime_s", "state", "roots", "queue", "memory", "last_error"}
    assert (status["version"], status["state"], status["last_error"]) == (VERSION, "idle", None)
    assert status["pid"] in home.processes()
    assert set(status["queue"]) == {"pending", "in_flight", "oldest_age_s", "quarantined"}
    figures = "profile limit_mb used_mb daemon_mb worker_mb peak_mb level gc_runs refreshes recycles kills"
    assert set(status["memory"]) >= set(figures.split())
    (root,) = status["roots"]
    assert {"path", "files", "chunks", "pending", "watching", "coverage"} <= set(root)
    assert (root["path"], root["files"], root["pending"], root["watching"]) == (str(tree), 2, 0, True)
    lines = home.ok("status", "--memory").splitlines()
    assert lines[0].startswith(f"ctx42d {VERSION} (pid {status['pid']}): idle, up ")
    assert re.fullmatch(r"watching 1 folder, 2 files, all fresh; .*\d+ of \d+ MB", lines[1])
    assert f"root    {tree}: 2 files, 2 chunks, watching" in lines[2]
    assert re.fullmatch(r"index   [\d.]+ MB on disk", lines[5])


def test_without_a_daemon_every_question_ends_with_3_and_down_with_0(tmp_path):
    home = Home(tmp_path / "home")
    for command in (["status"], ["search", "x"], ["sync"], ["why", "x"], ["verify"], ["pause"], ["roots", "list"]):
        said = home(*command)
        assert (said.code, said.out, said.err) == (3, "", NOBODY_THERE)
    assert home("down") == home("down")
    assert home.ok("down") == "nothing to stop: no daemon is running\n"
    assert home.processes() == {}


def test_a_stale_socket_of_a_dead_daemon_is_no_daemon_and_in_nobodys_way(tmp_path):
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up")
        home.kill()
        assert home.socket.exists()
        assert home("status").code == 3
        assert home.ok("up").startswith("started")


def test_pause_keeps_what_changes_for_later(home, tree):
    assert home.ok("pause") == "paused\n"
    try:
        write(tree / "three.py", module("nadir"))
        wait_until(lambda: home.ask("status")["queue"]["pending"] == 1)
        assert (home.ask("status")["state"], home.naming("nadir")) == ("paused", [])
        assert home.ok("why", tree / "three.py") == f"{tree}/three.py: queued: waiting to be indexed\n"
        assert home("verify").out == f"{tree}/three.py: is not indexed\n"
        stays = home("up", tree)
        assert (stays.code, "ctx42d: indexing is paused" in stays.err) == (1, True)
    finally:
        assert home.ok("resume") in ("idle\n", "indexing\n")
    home.sync()
    assert home.naming("nadir") == [str(tree / "three.py")]


def test_why_says_of_each_path_what_became_of_it(home, tree):
    write(tree / ".gitignore", "*.log\n")
    write(tree / "noise.log", "x\n")
    write(tree / ".env", "PASSWORD=1\n")
    write(tree / "table.csv", "a,b\n")
    write(tree / "big.py", "x = 1\n" * 300_000)
    for name in ("binary.py", "sub/binary.py"):
        (tree / name).write_bytes(b"\x00\x01\x02" * 100)
    home.sync()

    def why(name: str) -> tuple[str, str]:
        answer = home.ask("why", path=str(tree / name))
        return answer["state"], answer["reason"]

    assert why("one.py") == ("indexed", "")
    assert why("sub") == ("indexed", "a folder with 1 file in the index")
    assert why("noise.log")[0] == "skipped"
    assert ".gitignore" in why("noise.log")[1]
    assert {why(name)[0] for name in (".env", "table.csv", "big.py", "binary.py")} == {"skipped"}
    assert len({why(name)[1] for name in (".env", "table.csv", "big.py", "binary.py")} - {""}) == 4
    assert why("nothing.py") == ("missing", "there is nothing at this path")
    assert home.ask("why", path="/proc/1")["state"] == "outside"
    assert home.ok("why", tree / "one.py").startswith(f"{tree}/one.py: indexed, 1 chunk, ")
    assert home.json("why", tree / "one.py")["root"] == str(tree)


def test_a_quarantined_file_says_why_and_gets_another_chance_when_it_changes(tmp_path):
    tree = tmp_path / "tree"
    file = write(tree / "poison.py", module("hemlock"))
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        home.ok("down")
        with closing(sqlite3.connect(home.database)) as connection, connection:
            connection.execute(
                "INSERT INTO queue (root_id, relpath, generation, seq, enqueued_at, attempts, quarantined)"
                " SELECT id, CAST('poison.py' AS BLOB), 1, 1, 0, 3, 'worker 7 died (signal SIGSEGV)' FROM roots"
            )
            connection.execute(
                "UPDATE files SET looked_ns = looked_ns + 60000000000"
            )  # looked at long after it was made
        home.database.with_name("index.db.seal").unlink()
        home.ok("up")
        assert home.ask("status")["queue"]["quarantined"] == 1
        assert f"gave up {file}: " in home.ok("status")
        assert "quarantined" in home.ok("why", file)
        assert home.ok("why", file).endswith(": worker 7 died (signal SIGSEGV)\n")
        write(file, module("antidote"))
        home.sync()
        assert home.json("why", file)["state"] == "indexed"
        assert (home.ask("status")["queue"]["quarantined"], home.naming("antidote")) == (0, [str(file)])


def test_reindex_reads_files_again_that_did_not_change(home, tree, tmp_path):
    before = home.ask("status")["workers"]
    assert home.ok("reindex", tree) == "queued 2 files\n"
    home.sync()
    assert home.ok("reindex", tree / "one.py") == "queued 1 file\n"
    home.sync()
    assert home.naming("azimuth") == [str(tree / "one.py")]
    assert home.ok("verify", tree) == "clean: 2 files compared\n"
    assert home.ask("status")["workers"]["deaths"] == before["deaths"]
    stranger = home("reindex", tmp_path / "elsewhere")
    assert (stranger.code, "is in no root" in stranger.err) == (1, True)


def test_verify_lists_what_differs_from_the_disk_and_in_the_index(tmp_path):
    tree = tmp_path / "tree"
    for name in ("kept.py", "changed.py", "lost.py", "unread.py"):
        write(tree / name, module(name[:-3]))
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree)
        assert home.ok("verify") == "clean: 4 files compared\n"
        typo = home("verify", tree / "kept.pi")
        assert (typo.code, typo.err) == (
            1,
            f"ctx42d: verify: {tree}/kept.pi does not exist, and nothing of it is in the index\n",
        )
        home.ok("down")
        with closing(sqlite3.connect(home.database)) as connection, connection:
            connection.execute("UPDATE files SET looked_ns = looked_ns + 60000000000")
            connection.execute("UPDATE files SET hash = zeroblob(16) WHERE relpath = CAST('changed.py' AS BLOB)")
            connection.execute(
                "DELETE FROM chunks WHERE file_id = (SELECT id FROM files WHERE relpath = CAST('lost.py' AS BLOB))"
            )
        home.database.with_name("index.db.seal").unlink()  # it would tell, and the index would be made again
        home.ok("up")
        said = home("verify")
        assert said.code == 1
        assert sorted(said.lines) == sorted(
            [
                f"{home.database}: 1 full text without its chunk",
                f"{home.database}: 3 defined names without their chunk",
                f"{home.database}: 1 files with chunks that are missing or there twice",
                f"{tree}/changed.py: differs from what is indexed",
            ]
        )
        assert said.err == "4 differences in 4 files compared\n"
        home.ok("pause")
        (tree / "unread.py").unlink()
        differs = home("verify", tree / "unread.py", "--json")
        assert (differs.code, '"is indexed, but is gone"' in differs.out) == (1, True)
        home.ok("resume")


def test_logs_show_what_the_daemon_said_and_follow_it(home, tmp_path):
    assert any("service: ctx42d " in line for line in home.ok("logs", "-n", "1000").splitlines())
    following = home.begin("logs", "-f", "-n", "0", stdout=subprocess.PIPE)
    try:
        # It may not have opened the log yet: what is said again and again is heard in the end.
        os.set_blocking(following.stdout.fileno(), False)

        def heard() -> bool:
            home.ask("pause")
            home.ask("resume")
            return b" INFO    engine: paused\n" in (following.stdout.read() or b"")

        wait_until(heard)
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=60)
    assert following.returncode == 130
    assert {"time", "level", "part", "text"} == set(home.json("logs", "-n", "1"))


def test_a_restart_embeds_nothing_again_and_starts_no_worker(tmp_path):
    tree = tmp_path / "tree"
    write(tree / "one.py", module("declination"))
    write(tree / "two.py", module("ascension"))
    with service(tmp_path / "home") as home:  # with the deep tier
        assert home.ok("up", tree, "--wait", "deep") == "started: 2 files, 2 chunks in 1 root\n"
        first = home.ask("status")
        assert (first["workers"]["embedded"], first["workers"]["deaths"]) == (2, 0)
        assert "deep" in home.json("search", "declination", "--wait-deep", "30000")["tiers"]
        with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as connection:
            assert connection.execute("SELECT count(*) FROM vectors WHERE deep IS NOT NULL").fetchone() == (2,)
        settled = {name: os.stat(tree / name).st_mtime_ns for name in ("one.py", "two.py")}
        assert home.ok("restart") == f"running (pid {home.pid})\n"
        assert home.pid != first["pid"]
        home.ok("up", "--wait", "deep")
        home.sync()
        again = home.ask("status")
        assert again["workers"]["embedded"] == 0
        assert home.ask("progress")["deep_done"] == home.ask("progress")["deep_total"] == 2
        assert settled == {name: os.stat(tree / name).st_mtime_ns for name in settled}
        write(tree / "one.py", module("ascension"))  # a text that is known already
        home.ok("sync")
        home.ok("up", "--wait", "deep")
        assert home.ask("status")["workers"]["embedded"] == 0
        assert home.ok("verify") == "clean: 2 files compared\n"


def test_a_typo_in_the_configuration_is_refused_by_name(tmp_path):
    home = Home(tmp_path / "home", "[watch]\nquite_ms = 5\n")
    for command in (["up"], ["restart"], ["run"]):
        said = home(*command)
        assert (said.code, said.out) == (1, "")
        where = f"{home.folder}/config.toml, line 2"
        assert said.err == f"ctx42d: {where}: there is no setting `quite_ms` in [watch] (did you mean `quiet_ms`?)\n"
    (home.folder / "config.toml").write_text("[memory]\nmax_mb = 64\n")
    said = home("up")
    assert (said.code, said.err.count("\n"), "64" in said.err) == (1, 1, True)
    assert home.processes() == {}


def test_a_second_daemon_is_refused_and_two_starts_at_once_end_with_one(tmp_path):
    with service(tmp_path / "home", NO_DEEP) as home:
        racers = [home.begin("up", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        said = [racer.communicate(timeout=60) for racer in racers]
        assert [racer.returncode for racer in racers] == [0, 0], said
        sentence = f"another daemon (pid {home.pid}) has the index in {home.folder}: stop it with `ctx42d down`\n"
        second = home("run")
        assert (second.code, second.out, second.err) == (1, "", f"ctx42d: {sentence}")
        second = subprocess.run(SERVICE, env=home.environ, cwd="/", capture_output=True, timeout=60)
        assert (second.returncode, second.stderr.decode()) == (1, f"ctx42d: {sentence}")
        assert home.ok("up").startswith("running: ")
