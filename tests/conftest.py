"""What all tests share: a skip is a failure where everything was installed, and a wait that has an end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Shell, private_home

from ctx42d.daemon.config import ENVIRONMENT
from ctx42d.daemon.unit_file import CEILING_VARIABLE

NO_SKIPS = bool(os.environ.get("CTX42D_NO_SKIPS"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Where CTX42D_NO_SKIPS is set every part is there: a test that skips has not tested."""
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although every part should be here: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def no_home_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may see, or touch, the user's own daemon."""
    for name in (*ENVIRONMENT.values(), CEILING_VARIABLE, "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CTX42D_HOME", str(tmp_path / "home-of-no-daemon"))


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A CTX42D_HOME that a socket fits in, with nothing in it."""
    with private_home(monkeypatch) as folder:
        yield folder


@pytest.fixture
def shell(home: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs commands in this process, for that home."""
    return Shell(capsys)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until something is true; fail when that takes too long."""

    def wait(true: Callable[[], object], within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not true():
            if time.monotonic() > deadline:
                pytest.fail(f"not true within {within_s} s")
            time.sleep(0.01)

    return wait
