"""Is one member of a settings file set or taken out, and is everything else left as it was?"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctx42d.daemon.jsonc import NotJson, drop, loads, put

VALUE = {"command": "/usr/bin/ctx42d", "args": ["mcp"]}

ZED = """\
// Zed settings
{
  "theme": "One Dark", // dark, please
  "context_servers": {
    /* ours */
    "other": {
      "command": "x", "args": ["//not a comment", "}"], // secret
    }, // the last
  },
  "vim_mode": true,
}
"""
COMPACT = '{"mcpServers": {"other": {"command": "x"}}, "n": 1}'
TABS = '{\n\t"servers": {\n\t\t"other": {}\n\t},\n\t"inputs": []\n}'
LAST_COMMENTED = '{\n  "servers": {\n    "a": 1 // one\n  }\n}\n'
TEXTS = [
    (ZED, "context_servers"),
    (COMPACT, "mcpServers"),
    (TABS, "servers"),
    (LAST_COMMENTED, "servers"),
    ('{\r\n  "servers": {\r\n    "a": 1\r\n  }\r\n}\r\n', "servers"),
]


@pytest.mark.parametrize(("text", "section"), TEXTS)
def test_what_was_put_can_be_dropped_and_every_character_is_back(text: str, section: str) -> None:
    with_ours = put(text, section, "ctx42d", VALUE)
    assert loads(with_ours)[section]["ctx42d"] == VALUE
    assert put(with_ours, section, "ctx42d", VALUE) == with_ours
    assert drop(with_ours, section, "ctx42d") == text


def test_comments_and_order_stay_and_the_new_member_looks_like_its_neighbours() -> None:
    assert put(LAST_COMMENTED, "servers", "b", 2) == '{\n  "servers": {\n    "a": 1, // one\n    "b": 2\n  }\n}\n'
    lines = put(ZED, "context_servers", "ctx42d", VALUE).splitlines()
    assert lines[:8] == ZED.splitlines()[:8]
    assert lines[8:13] == [
        '    "ctx42d": {',
        '      "command": "/usr/bin/ctx42d",',
        '      "args": [',
        '        "mcp"',
        "      ]",
    ]


def test_a_value_that_is_there_is_replaced_where_it_stands() -> None:
    text = put(ZED, "context_servers", "other", VALUE)
    assert loads(text)["context_servers"] == {"other": VALUE}
    assert "/* ours */" in text
    assert "// the last" in text


@pytest.mark.parametrize("text", ["", "\n", "{}", "{ }\n", "// nothing yet\n", '{"a": 1}', '{\n  "servers": {}\n}\n'])
def test_a_file_or_section_that_is_not_there_is_made(text: str) -> None:
    assert loads(put(text, "servers", "ctx42d", VALUE))["servers"] == {"ctx42d": VALUE}


@pytest.mark.parametrize(
    "text", ["{}", '{"a": 1}', '{\n  "a": 1\n}\n', '{\n  "a": {}, // a\n}\n', "// nothing yet\n{}\n"]
)
def test_a_section_that_was_made_for_ours_goes_with_it(text: str) -> None:
    with_ours = put(text, "servers", "ctx42d", VALUE)
    assert drop(with_ours, "servers", "ctx42d", keep_empty=False) == text
    assert loads(drop(with_ours, "servers", "ctx42d")) == {**loads(text), "servers": {}}


def test_a_section_that_holds_something_else_stays() -> None:
    for text in (ZED, '{\n  "context_servers": {\n    // mine\n  }\n}\n'):
        with_ours = put(text, "context_servers", "ctx42d", VALUE)
        assert drop(with_ours, "context_servers", "ctx42d", keep_empty=False) == text


def test_taking_out_what_is_not_there_changes_nothing() -> None:
    assert drop(ZED, "context_servers", "ctx42d") == ZED
    assert drop(ZED, "servers", "ctx42d") == ZED


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"a" 1}', '{"servers": []}', '{"servers": {"a": }}', "nonsense", '{"a": 1}}']
)
def test_what_is_not_json_is_refused_and_not_repaired(text: str) -> None:
    with pytest.raises(NotJson):
        put(text, "servers", "ctx42d", VALUE)


NAMES = st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.sampled_from([None, 2, 4, "\t"]),
)
def test_any_json_keeps_what_it_says(
    top: dict[str, object], section: dict[str, object], indent: int | str | None
) -> None:
    was = {**top, "servers": {name: value for name, value in section.items() if name != "ctx42d"}}
    text = json.dumps(was, indent=indent, ensure_ascii=False)
    new = put(text, "servers", "ctx42d", VALUE)
    assert loads(new) == {**was, "servers": {**was["servers"], "ctx42d": VALUE}}
    assert loads(drop(new, "servers", "ctx42d")) == was
