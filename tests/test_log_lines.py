"""Which lines `ctx42d logs` shows: the last ones, of a level and worse, from a moment on; and what is never in them."""

import contextlib
import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cli_kit import PROGRAM
from service_kit import NO_DEEP, service, write

from ctx42d.daemon.client import ClientError
from ctx42d.daemon.since import moment

EAST = timezone(timedelta(hours=2))
NOW = datetime(2026, 11, 27, 1, 30, tzinfo=EAST)


@pytest.fixture
def lines(home):
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    made = [
        f"2026-11-2{day}T10:00:00.000Z {level:<7} part: {level} of {day}" for day in range(1, 7) for level in levels
    ]
    (home / "ctx42d.log.1").write_text("\n".join(made[:12]) + "\n")
    (home / "ctx42d.log").write_text("\n".join(made[12:]) + "\nno line of ours\n")
    return made


def texts(said):
    return [json.loads(line)["text"] for line in said.splitlines()]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["-n", "2"], ["ERROR of 6", "no line of ours"]),
        (["-n", "3", "--level", "warning"], ["WARNING of 6", "ERROR of 6", "no line of ours"]),
        (["--since", "2026-11-26T00:00Z", "--level", "error"], ["ERROR of 6", "no line of ours"]),
        (["--level", "error"], [*(f"ERROR of {day}" for day in range(1, 7)), "no line of ours"]),
        (["--since", "2026-11-21T10:00:01Z", "-n", "1"], ["no line of ours"]),
        (["-n", "0", "--since", "2026-11-21"], []),
    ],
)
def test_the_last_lines_that_are_asked_for_are_shown_over_turns_of_the_file(shell, lines, options, shown):
    code, said, err = shell("logs", "--json", *options)
    assert (code, texts(said), err) == (0, shown, "")


def test_everything_since_a_moment_is_shown_unless_a_number_is_given(shell, lines):
    assert len(shell("logs", "--since", "2026-11-21T00:00:00Z")[1].splitlines()) == len(lines) + 1


def test_following_leaves_out_what_is_not_asked_for(home, lines):
    with subprocess.Popen([*PROGRAM, "logs", "-f", "--level", "error"], stdout=subprocess.PIPE) as tail:
        try:
            first = [tail.stdout.readline() for _ in range(4)]
            assert b"ERROR of 4" in first[0]
            with (home / "ctx42d.log").open("a") as file:
                file.write(
                    "2026-11-29T10:00:00.000Z INFO    part: not this\n2026-11-29T10:00:00.000Z ERROR   part: this\n"
                )
            assert tail.stdout.readline().endswith(b"part: this\n")
        finally:
            tail.kill()


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ("90s", "2026-11-26T23:28:30"),
        ("10m", "2026-11-26T23:20:00"),
        ("2h ago", "2026-11-26T21:30:00"),
        ("3d", "2026-11-23T23:30:00"),
        ("1w", "2026-11-19T23:30:00"),
        ("today", "2026-11-26T22:00:00"),
        ("yesterday", "2026-11-25T22:00:00"),
        ("01:15", "2026-11-26T23:15:00"),
        ("2026-11-20", "2026-11-19T22:00:00"),
        ("2026-11-20T10:00", "2026-11-20T08:00:00"),
        ("2026-11-20T10:00Z", "2026-11-20T10:00:00"),
    ],
)
def test_a_moment_is_meant_in_local_time_unless_it_says_otherwise(typed, at):
    assert moment(typed, NOW) == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize("typed", ["soon", "10", "25:00", "2026-13-01", "999999999w", ""])
def test_what_is_no_time_is_refused_with_what_would_be_one(shell, typed):
    code, said, err = shell("logs", "--since", typed)
    assert (code, said) == (2, "")
    assert "is no time: write 10m, 2h, 3d, today, 14:30, or 2026-11-27T14:30" in err


def test_secrets_contents_and_questions_are_never_logged_at_any_level(tmp_path):
    """Whatever goes wrong with a file, or a question: its text is nobody's business but its owner's."""
    secret = "hunter2xyzzy"
    sources = tmp_path / "tree"
    write(sources / ".env", f"PASSWORD={secret}\n")
    write(sources / "good.py", f"def login():\n    return '{secret}'\n")
    write(sources / "broken.py", f"def ({secret} [[[{{{{\n" * 50)
    write(sources / "deep.json", "[" * 5000 + f'"{secret}"')
    (sources / "latin.py").write_bytes(f"# {secret} \xe9\xff\n".encode("latin-1"))
    write(sources / ".gitignore", f"[{secret}\n")
    (sources / "closed.py").write_text(secret)
    (sources / "closed.py").chmod(0)
    with service(tmp_path / "home", NO_DEEP + '[log]\nlevel = "debug"\n', mortal=True) as home:
        home.ok("up", sources)
        assert home.naming(secret)
        for params in (
            {"query": secret},
            {"query": secret, "k": -1},
            {"query": [secret]},
            {"query": secret, secret: 1},
        ):
            home("search", str(params["query"]), "-k", "1")
            with contextlib.suppress(ClientError):
                home.ask("search", **params)
        with contextlib.suppress(ClientError):
            home.ask(secret)
        home.ok("why", sources / ".env")
        home.ok("verify")
        home.ok("down")
        assert "scanned" in home.log
        assert secret not in home.log
