"""What a running daemon takes over on SIGHUP and `config set`, what it says of the rest; a terminal still ends it."""

import os
import pty
import signal

import pytest
from service_kit import NO_DEEP, service, tree, wait_until

from ctx42d.daemon.config import ConfigError, load
from ctx42d.daemon.config_ranges import RANGES
from ctx42d.daemon.reload import LIVE, Reload


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config.toml"


@pytest.fixture
def obeyed():
    return []


@pytest.fixture
def reload(file, obeyed):
    return Reload(load(None, {}), lambda: load(file, {}), obeyed.append)


def test_what_can_change_is_obeyed_and_what_cannot_is_named_each_time(reload, file, obeyed):
    file.write_text('[log]\nlevel = "debug"\n[deep]\nenabled = false\n')
    done = reload()
    assert (done.applied, done.after_restart) == (("log.level",), ("deep.enabled",))
    assert str(done) == "obeyed from now on: log.level; obeyed after `ctx42d restart`: deep.enabled"
    assert obeyed[0].value("log.level") == "debug"
    assert (reload().applied, reload().after_restart, len(obeyed)) == ((), ("deep.enabled",), 1)
    file.write_text("")
    assert (reload().applied, str(reload())) == (("log.level",), "nothing differs from what is obeyed")


def test_a_file_that_is_refused_changes_nothing(reload, file, obeyed):
    file.write_text("[search]\ndefault_k = 0\n")
    with pytest.raises(ConfigError, match="default_k"):
        reload()
    assert obeyed == []


def test_every_live_setting_is_one():
    assert set(RANGES) >= LIVE


def test_a_daemon_in_the_background_reads_its_configuration_again_on_sighup(tmp_path):
    with service(tmp_path / "home", NO_DEEP) as home:
        home.ok("up", tree(tmp_path / "tree", 4))
        pid = home.pid
        (home.folder / "config.toml").write_text('[deep]\nenabled = false\n[log]\nlevel = "debug"\n')
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: "the configuration was read again: obeyed from now on: log.level" in home.log)
        said = home("config", "set", "search.default_k", "2")
        assert said.err == "The running daemon obeys it from now on.\n"
        assert len(home.ask("search", query="topic1 step")["hits"]) == 2
        assert home("config", "set", "queue.batch_files", "5").err.endswith("obeys it after `ctx42d restart`.\n")
        assert home.pid == pid


def test_a_daemon_in_a_terminal_ends_when_the_terminal_does(tmp_path):
    ours, theirs = pty.openpty()
    with service(tmp_path / "home", NO_DEEP) as home:
        run = home.begin("run", stdin=theirs, stderr=theirs)
        wait_until(lambda: home.pid == run.pid)
        run.send_signal(signal.SIGHUP)
        assert run.wait(60) == 0
    os.close(ours)
    os.close(theirs)
