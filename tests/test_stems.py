"""stem: which words find one another, and which don't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctx42d.indexer.stems import stem


@pytest.mark.parametrize(
    "words",
    [
        "decode decodes decoding decoded decoder decoders",
        "cache caches caching cached",
        "query queries",
        "cookie cookies",
        "iterate iterates iterator iterators iteration iterable",
        "map maps mapping mapped mapper",
        "call calls calling called caller",
        "process processes processing processed",
        "class classes",
        "connect connects connection connections connecting",
        "file files",
    ],
)
def test_the_forms_of_a_word_have_one_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


@pytest.mark.parametrize("words", ["status state", "string strong", "bus busy", "index inner", "user use", "thing the"])
def test_other_words_have_other_stems(words: str) -> None:
    first, second = words.split()
    assert stem(first) != stem(second)


@pytest.mark.parametrize("word", ["", "as", "get", "用", "äpfel", "x86s", "sha256", "123456"])
def test_short_words_numbers_and_other_scripts_are_their_own_stems(word: str) -> None:
    assert stem(word) == word


@given(st.from_regex(r"[a-z]{1,40}", fullmatch=True))
def test_a_stem_is_no_longer_than_the_word_and_never_empty(word: str) -> None:
    assert min(len(word), 3) <= len(stem(word)) <= len(word)
