"""The manual page: every command, its options, nothing that roff would take for a request of its own."""

from cli_kit import Shell

from ctx42d.daemon.cli import COMMANDS

MACROS = {".TH", ".SH", ".SS", ".TP", ".B", ".PP"}


def test_the_page_has_every_command_with_its_options(shell: Shell) -> None:
    code, page, said = shell("man")
    assert (code, said) == (0, "")
    assert [name for name in COMMANDS if f'.SS "ctx42d {name}' not in page] == []
    assert '.SS "ctx42d service uninstall [OPTIONS]"' in page
    assert ".B \\-\\-purge" in page
    assert ".B MEMORY_PROFILE" in page


def test_no_line_is_a_request_by_accident(shell: Shell) -> None:
    lines = shell("man")[1].splitlines()
    assert {line.split()[0] for line in lines if line.startswith((".", "'"))} <= MACROS
    assert all(lines)
