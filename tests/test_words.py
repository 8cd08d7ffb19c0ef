"""identifier_words and tokens: what a name is cut into, and what both tiers are given."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctx42d.indexer import words as module
from ctx42d.indexer.stems import stem
from ctx42d.indexer.words import MAX_WHOLE_CHARS, MAX_WORD_CHARS, identifier_words, tokens


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        ("getHTTPResponse2", "get http response 2"),
        ("HTTPServer", "http server"),
        ("parseURL2", "parse url 2"),
        ("OAuth2Client", "oauth 2 client"),
        ("oauth2_client", "oauth 2 client"),
        ("GitHubURLs", "github urls"),
        ("userIDs", "user ids"),
        ("IPv4Address", "ipv 4 address"),
        ("ALL_CAPS_2", "all caps 2"),
        ("__init__", "init"),
        ("0x1F", "0x1f"),
        ("x86_64", "x 86 64"),
        ("aB", "a b"),
        ("testÄpfelÜber", "test äpfel über"),
        ("дляТеста", "для теста"),
        ("用户名", "用 户 名"),
        ("नमस्ते", "नमस्ते"),
        ("\uff26\uff55\uff4c\uff4cWidth", "full width"),
        ("_", ""),
        ("", ""),
    ],
)
def test_an_identifier_is_cut_at_case_underscore_and_digits(identifier, words):
    assert identifier_words(identifier) == tuple(words.split())


def test_a_name_of_many_words_is_followed_by_its_whole_form_in_the_lexical_text_only():
    assert tokens("get_user(getUser)") == ("get user getuser get user getuser", ["get", "user", "get", "user"])


def test_names_of_one_word_stand_once():
    assert tokens("def _send(self): return 42").lexical == "def send self return 42"


def test_text_in_other_scripts_is_found_by_its_letters():
    found = tokens("名前 = 'naïve cafe\u0301'  # مرحبا 안녕")
    assert found.words == ["名", "前", "naïve", "café", "مرحبا", "안", "녕"]
    assert "名前" in found.lexical.split()


def test_a_hash_keeps_its_whole_form_and_longer_random_text_is_dropped():
    sha1 = "9fceb02d0ae598e95dc970b74767f19372d61af8"
    blob = base64.b64encode(random.Random(1).randbytes(600)).decode().replace("/", "a").replace("+", "b").rstrip("=")
    assert tokens(f"commit = '{sha1}'").words == ["commit", sha1]
    assert tokens(f"key = '{blob}'") == ("key ", ["key"])


def test_a_long_name_is_split_all_the_same():
    name = "test_a_very_long_name_of_a_test_function_that_is_sensible"
    assert identifier_words(name) == tuple(name.split("_"))


def test_a_word_without_end_is_cut_and_not_remembered():
    endless = "a" * 1_000_000
    assert tokens(endless).words == ["a" * MAX_WORD_CHARS]
    assert endless not in module._words
    assert endless not in module._lexical


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "CACHED_IDENTIFIERS", 100)
    module._words.clear()
    module._lexical.clear()
    assert len(tokens(" ".join(f"name{chr(97 + i % 26)}x{i}" for i in range(1000))).words) == 2000
    assert len(module._words) <= 100
    assert len(module._lexical) <= 100


@given(st.text())
def test_any_text_gives_bounded_lower_case_words_whose_stems_the_lexical_text_contains(text):
    found = tokens(text)
    assert all(0 < len(word) <= MAX_WORD_CHARS for word in found.words)
    assert set(map(stem, found.words)) <= set(found.lexical.split())
    assert all(len(word) <= MAX_WHOLE_CHARS * 3 for word in found.lexical.split())


@given(st.from_regex(r"[A-Za-z0-9_]{1,19}", fullmatch=True))
def test_no_letter_or_digit_of_a_short_name_is_lost(name):
    assert "".join(identifier_words(name)) == name.lower().replace("_", "")


@given(st.text())
def test_the_cache_does_not_change_the_answer(text):
    first = tokens(text)
    module._words.clear()
    module._lexical.clear()
    assert tokens(text) == first
